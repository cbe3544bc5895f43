"""``facesearch query --expand``: what it answers, keeps, refuses and asks."""

import io
from pathlib import Path

import numpy as np
import pytest

import facesearch
from facesearch.errors import UsageError
from facesearch.gallery import expanded
from facesearch.gallery.expansion import Expansion
from facesearch.store import Store
from small_store import MIDDLE, RED, draw, row_of


@pytest.fixture
def red(folder) -> Path:
    return draw(folder / "me.png", {RED: MIDDLE})


def distances(done):
    (result,) = done.json["results"]
    return {Path(near["path"]).stem: near["distance"] for near in result["neighbors"]}


def test_distances_are_between_averages_and_the_graph_is_kept(program, store, red):
    held = Store.open(store)
    faces = held.rows[0]
    expansion = Expansion(faces)
    away = np.linalg.norm(expansion.rows - expansion.probe(row_of(RED)), axis=1)
    expected = {}
    for row, path in enumerate(held.files.paths()):
        ids = np.flatnonzero(held.faces.content == held.files.content[row])
        if len(ids):
            expected[Path(path).stem] = pytest.approx(away[ids].min(), abs=1e-5)
    done = program("query", "me.png", "--expand", "--json")
    assert done.code == 0
    assert distances(done) == expected
    assert set(Store.open(store).head.derived) == {"neighbors"}
    assert program("query", "me.png", "--expand", "--json").raw == done.raw
    assert program("check").code == 0


def test_an_indexed_photo_is_at_no_distance_from_itself(program, store):
    own = "photos/red/red1.png"
    found = distances(program("query", own, "--expand", "--json"))
    assert found["red1"] == 0.0
    without = distances(program("query", own, "--expand", "--exclude-self", "--json"))
    assert without == {name: away for name, away in found.items() if name != "red1"}


def test_the_same_person_on_several_photos_supports_none_of_them(program, store):
    photos = ["photos/red/red1.png", "photos/red/red2.png"]
    found = distances(program("query", *photos, "--same-person", "--expand", "--json"))
    assert found["red1"] == found["red2"] == 0.0


def test_it_excludes_a_false_match_rate(program, store, red):
    done = program("query", "me.png", "--expand", "--fmr", "1e-4")
    assert done.code == 2
    assert "--fmr is known for plain distances" in done.err


def test_whole_photos_are_not_averaged(program, whole_store):
    done = program("query", "photos/red/red1.png", "--expand")
    assert done.code == 2
    assert f"{whole_store}: --expand averages faces" in done.err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_very_many_faces_are_asked_about(program, store, red, monkeypatch):
    monkeypatch.setattr(expanded, "MANY_FACES", 9)
    done = program("query", "me.png", "--expand")
    assert done.code == 2
    assert "compares 100 pairs of 10 faces" in done.err
    assert "--yes" in done.err
    assert Store.open(store).head.derived == {}
    done = program("query", "me.png", "--expand", "--yes")
    assert done.code == 0
    assert "compares 100 pairs of 10 faces" in done.err
    done = program("query", "me.png", "--expand")
    assert (done.code, "pairs" in done.err) == (0, False)


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_the_answer_counts(program, store, red, monkeypatch, answer, code):
    from facesearch.cli.main import run

    monkeypatch.setattr(expanded, "MANY_FACES", 9)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run(["query", "me.png", "--expand"]) == code
    assert bool(Store.open(store).head.derived) == (code == 0)


def test_from_python(program, store, red, monkeypatch):
    monkeypatch.setattr("facesearch.querying.check_space", lambda gallery: None)
    opened = facesearch.open(store)
    by_photo = opened.query(red, k=3, expand=True).neighbors
    by_row = opened.query(row_of(RED), k=3, expand=True).neighbors
    assert [near.path for near in by_photo] == [near.path for near in by_row]
    assert [near.distance for near in by_photo] == [near.distance for near in by_row]
    plain = opened.query(red, k=3).neighbors
    assert plain[1].distance != by_photo[1].distance
    monkeypatch.setattr(expanded, "MANY_FACES", 1)
    Path(store.parent / "faces.npz.derived").joinpath(
        Store.open(store).head.derived["neighbors"].file
    ).unlink()
    with pytest.raises(UsageError, match="confirm"):
        facesearch.open(store).query(red, expand=True)
    assert facesearch.open(store, confirm=lambda cost: True).query(red, expand=True).neighbors
