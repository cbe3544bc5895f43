"""``facesearch query``: faces, photos, filters, notes, exit codes."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from pathlib import Path

import pytest
from PIL import Image

from facesearch.index_options import query_spec
from facesearch.runtimes import RuntimeOptions
from facesearch.store import Store, StoreWriter
from small_store import BLUE, GREEN, MIDDLE, RED, draw, enrolling, recipe

PICTURE = re.compile(r"faces numbered in (/\S+\.png)")


@pytest.fixture
def terminal(monkeypatch) -> None:
    """A person reads what is printed."""
    monkeypatch.setattr("facesearch.cli.query._is_read", lambda: True)


def stems(done) -> list[str]:
    return [Path(line).stem for line in done.lines]


def test_back_ends_print_the_same(program, store, red, monkeypatch):
    usual = program("query", "me.png", "-k", "all", "--json")
    assert usual.code == 0
    for backend in ("faiss", "faiss-flat", "tensorflow", "sklearn"):
        asked = ("query", "me.png", "-k", "all", "--json", "--backend", backend)
        assert program(*asked) == usual
    monkeypatch.setattr("facesearch.search.exact._fit", None)
    monkeypatch.setattr("facesearch.search.flat.load_faiss", None)
    assert program("query", "me.png", "-k", "all", "--json", "--backend", "brute") == usual
    refused = program("query", "me.png", "--backend", "pca")
    assert refused.code == 2
    assert "'auto', 'sklearn', 'brute'" in refused.err


def test_the_choice_of_a_back_end_is_told_for_many_faces(program, store, red, monkeypatch):
    usual = program("query", "me.png", "--json")
    monkeypatch.setattr("facesearch.search.auto.MANY", 10)
    told = program("query", "me.png", "--json")
    assert told.out == usual.out
    assert told.err.removeprefix(usual.err) == (
        "searching 10 faces with faiss: the same answers as scikit-learn, sooner\n"
    )
    assert program("query", "me.png", "--json", "--backend", "sklearn") == usual


def test_one_face(program, store, red):
    done = program("query", "me.png", "-k", 2)
    assert done.code == 0
    assert done.err == f"store: {store}\n"
    lines = done.lines
    assert lines[0] == "me.png: face 1"
    assert lines[1].split() == ["rank", "similarity", "distance", "face", "path"]
    assert lines[2].split()[0] == "1"
    assert lines[2].endswith(str(store.parent / "photos/red/red1.png"))
    assert lines[3].endswith("both.png")
    assert lines[3].split()[3] == "2"
    assert lines[-1] == (
        "10 faces in 9 photos; 1 without a face, 0 failed, 0 roots away, indexed today"
    )
    assert len(lines) == 6


def test_several_faces_note_others_and_a_private_picture(program, store, terminal, crowd):
    done = program("query", crowd.name, "-k", 1)
    assert done.code == 0
    assert done.lines[0] == "crowd.png: face 2 of 3 (also: 1 at 5,2; 3 at 90,80)"
    assert "searched for face 2, the most prominent" in done.lines[1]
    assert "--face" in done.lines[1]
    picture = Path(PICTURE.search(done.out)[1])
    assert picture.name == "crowd-faces.png"
    assert stat.S_IMODE(picture.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert max(image.size) >= 900


def test_only_the_pictures_of_the_last_query_are_kept(
    program, store, terminal, crowd, folder, tmp_path
):
    before = Path(PICTURE.search(program("query", crowd, "-k", 1).out)[1])
    other = before.with_name("mine.png")
    Image.new("RGB", (9, 9)).save(other)
    draw(folder / "b.png", {RED: MIDDLE, GREEN: (90, 2, 9, 9)})
    now = Path(PICTURE.search(program("query", "b.png", "-k", 1).out)[1])
    assert sorted(now.parent.iterdir()) == sorted([now, other])
    assert not list(tmp_path.glob("facesearch-*"))


def test_nothing_is_pictured_for_a_program(program, store, crowd, tmp_path):
    before = sorted(tmp_path.rglob("*.png"))
    for options in ((), ("--json",), ("--format", "csv"), ("--face", 4)):
        done = program("query", crowd, "-k", 1, *options)
        assert "numbered in" not in done.out + done.err
    assert sorted(tmp_path.rglob("*.png")) == before


def test_photos_of_one_name_have_pictures_of_their_own(program, store, terminal, folder):
    for name in ("a", "b"):
        draw(folder / name / "x.png", {RED: MIDDLE, GREEN: (90, 2, 9, 9)})
    done = program("query", "a/x.png", "b/x.png", "-k", 1)
    pictures = PICTURE.findall(done.out)
    assert len(set(pictures)) == 2
    assert all(Path(picture).is_file() for picture in pictures)


def test_pictures_have_plain_names(program, store, terminal, folder):
    name = "a b\n\x1b[31m" + "long" * 40 + ".png"
    draw(folder / name, {RED: MIDDLE, GREEN: (90, 2, 9, 9)})
    done = program("query", name, "-k", 1)
    assert done.code == 0
    assert Path(PICTURE.search(done.out)[1]).is_file()
    assert "\x1b" not in done.out


def test_of_many_photos_a_few_are_pictured(program, store, terminal, folder):
    for n in range(10):
        draw(folder / "many" / f"{n}.png", {RED: MIDDLE, GREEN: (90, 2, 9, 9)})
    done = program("query", "many", "-k", 1)
    assert len(PICTURE.findall(done.out)) == 8
    assert done.out.count("pictured for 8 photos") == 2


def test_no_room_for_a_picture_is_no_reason_to_fail(program, store, terminal, crowd, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("facesearch.private.make_folder", full)
    done = program("query", crowd, "-k", 1)
    assert done.code == 0
    assert "no picture of the numbered faces: " in done.out
    assert "red1.png" in done.out


def test_face_by_number(program, store, crowd):
    done = program("query", crowd, "--face", 3, "-k", 1)
    assert done.lines[2].endswith("blue1.png")
    assert "note:" not in done.out


def test_every_face_grouped(program, store, crowd):
    done = program("query", crowd, "--face", "all", "-k", 1, "--json")
    assert [result["query"]["face"] for result in done.json["results"]] == [1, 2, 3]
    nearest = [Path(result["neighbors"][0]["path"]).stem for result in done.json["results"]]
    assert nearest == ["green1", "red1", "blue1"]


def test_a_face_that_is_not_there(program, store, terminal, crowd):
    done = program("query", crowd, "--face", 4)
    assert done.code == 3
    assert "no face 4; it has 3 faces, numbered 1 to 3" in done.out
    assert Path(PICTURE.search(done.out)[1]).is_file()


def test_no_face(program, store, folder):
    draw(folder / "sky.png", {})
    done = program("query", "sky.png")
    assert done.code == 3
    assert done.lines[0].startswith("sky.png: no face found")
    assert "--box" in done.lines[0]
    assert "--min-score" in done.lines[0]
    assert done.lines[-1].startswith("10 faces in 9 photos")


def test_box(program, store, folder):
    draw(folder / "pale.png", {(255, 250, 250): MIDDLE})
    done = program("query", "pale.png", "--box", "30,20,40,40", "-k", 1)
    assert done.code == 0
    assert done.lines[0] == "pale.png: the given box"
    assert done.lines[1].split()[0] == "rank"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--box", "500,0,10,10"],
        ["--box", "1,2,3"],
        ["--box", "a,b,c,d"],
        ["--box", "0,0,0,5"],
        ["--box", "nan,0,5,5"],
        ["--box", "0,0,inf,5"],
        ["--box", "0,0,9,9", "--face", "1"],
        ["--box", "0,0,9,9", "other.png"],
        ["--face", "0"],
        ["--face", "two"],
        ["-k", "0"],
        ["-k", "-1"],
        ["-k", "some"],
        ["-k", "1.5"],
        ["--max-distance", "-1"],
        ["--max-distance", "nan"],
        ["--min-score", "2"],
        ["--min-score", "nan"],
        ["--same-person", "--face", "all"],
        ["--under", "nowhere"],
        ["--by", "name"],
        ["--format", "xml"],
        ["--format", "csv", "--json"],
        ["--contact-sheet", "sheet.jpg"],
        ["--contact-sheet", "me.png"],
        ["--device", "abacus"],
        ["--nonsense"],
    ],
)
def test_what_cannot_be_meant_exits_with_2(program, store, red, arguments):
    done = program("query", "me.png", *arguments)
    assert done.code == 2
    assert done.raw == b""
    assert "Traceback" not in done.err
    assert "internal" not in done.err


@pytest.mark.parametrize("command", [["query"], ["forget", "--yes", "--like"]])
@pytest.mark.parametrize("distance", ["2.01", "75", "inf"])
def test_a_distance_that_no_two_faces_have_is_refused(program, store, red, command, distance):
    done = program(*command, "me.png", "--max-distance", distance)
    assert done.code == 2
    assert done.raw == b""
    assert done.err.splitlines()[1:] == [
        f"facesearch: --max-distance {distance}: the distances of facenet lie between 0 and 2"
    ]


def test_standard_input(program, store, red):
    done = program("query", "-", "-k", 1, "--json", stdin=red.read_bytes())
    assert done.code == 0
    assert done.json["results"][0]["query"]["path"] == "-"
    assert program("query", "-", "-k", 1, stdin=red.read_bytes()).lines[0] == (
        "standard input: face 1"
    )


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (b"", "standard input: the file has no bytes"),
        (b"hello", "standard input: its content is not an image"),
    ],
)
def test_standard_input_without_a_photo(program, store, stdin, message):
    done = program("query", "-", stdin=stdin)
    assert done.code == 1
    assert done.lines[0].startswith(message)
    assert program("query", "-", "--json", stdin=stdin).json["results"][0]["error"]


def test_what_is_named_twice_is_asked_once(program, store, red):
    done = program("query", "me.png", "-", "me.png", "-", "--json", stdin=red.read_bytes())
    assert [result["query"]["path"] for result in done.json["results"]] == ["me.png", "-"]
    assert all("neighbors" in result for result in done.json["results"])


def test_a_photo_named_beside_its_folder_is_asked_once(program, store, folder):
    draw(folder / "asked" / "b.png", {BLUE: MIDDLE})
    done = program("query", "asked/b.png", "asked", "--json")
    assert [result["query"]["path"] for result in done.json["results"]] == ["asked/b.png"]


def test_a_folder_is_every_photo_in_it(program, store, folder):
    draw(folder / "asked" / "in" / "g.png", {GREEN: MIDDLE})
    draw(folder / "asked" / "b.png", {BLUE: MIDDLE})
    (folder / "asked" / "notes.txt").write_text("hello")
    (folder / "asked" / "broken.jpg").write_bytes(b"")
    done = program("query", "asked", "-k", 1, "--json")
    assert done.code == 0
    results = done.json["results"]
    assert [result["query"]["path"] for result in results] == [
        "asked/b.png",
        "asked/broken.jpg",
        "asked/in/g.png",
    ]
    assert results[1]["error"]["code"] == "empty"


def test_a_folder_without_photos(program, store, folder, red):
    (folder / "empty").mkdir()
    (folder / "empty" / "film.mov").write_bytes(b"moving")
    done = program("query", "empty")
    assert done.code == 1
    assert done.lines[0] == "empty: no photos in this folder (not read: 1 .mov); name a photo"
    beside = program("query", "empty", "me.png", "-k", 1)
    assert beside.code == 0
    assert "red1.png" in beside.out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(program, store, folder):
    locked = folder / "locked"
    locked.mkdir()
    locked.chmod(0)
    done = program("query", "locked")
    locked.chmod(0o700)
    assert done.code == 1
    assert "no permission" in done.out


def test_no_such_photo_is_told_without_loading_networks(program, store, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("the networks were loaded")

    monkeypatch.setattr("facesearch.processing.Pipeline", fail)
    done = program("query", "nofile.jpg")
    assert done.code == 1
    assert done.lines[0] == "nofile.jpg: no such file; check the path"


def test_good_and_bad_photos(program, store, red, folder):
    (folder / "bad.jpg").write_text("no photo")
    draw(folder / "sky.png", {})
    assert program("query", "bad.jpg", "me.png", "sky.png").code == 0
    assert program("query", "bad.jpg", "gone.jpg").code == 1
    assert program("query", "bad.jpg", "sky.png").code == 3
    draw(folder / "sea.png", {})
    assert program("query", "sea.png", "sky.png").code == 3


def test_same_person(program, store, red, folder):
    draw(folder / "blue.png", {BLUE: MIDDLE})
    draw(folder / "sky.png", {})
    done = program("query", "me.png", "blue.png", "sky.png", "--same-person", "-k", 3)
    assert done.code == 0
    assert done.lines[0] == "one person in 2 photos: me.png, blue.png"
    assert "nearest to" in done.lines[1]
    rows = {line.split()[-1]: line for line in done.lines[2:5]}
    assert all(("blue.png" if "blue" in path else "me.png") in line for path, line in rows.items())
    assert done.out.count("no face found") == 1


def test_exclude_self_under_and_k(program, store, photos, folder):
    own = photos / "red" / "red1.png"
    shutil.copy(own, folder / "copy.png")
    paths = ("--format", "paths")
    assert stems(program("query", own, *paths, "-k", 1)) == ["red1"]
    assert stems(program("query", "copy.png", "--exclude-self", *paths, "-k", 2)) == [
        "both",
        "red2",
    ]
    assert stems(program("query", own, "--under", "green", *paths)) == ["green1", "green2"]
    assert stems(program("query", own, "--under", photos / "blue", *paths, "-k", 1)) == ["blue2"]
    two = program("query", own, "--under", "photos/blue", "--under", "gold", *paths)
    assert sorted(stems(two)) == ["blue1", "blue2", "gold1", "gold2"]
    assert len(stems(program("query", own, *paths, "-k", "all"))) == 9
    assert len(stems(program("query", own, *paths, "-k", 500))) == 9
    assert (
        len(
            program("query", own, "-k", "all", "--by", "face", "--json").json["results"][0][
                "neighbors"
            ]
        )
        == 10
    )
    near = program("query", own, "--max-distance", 0.02, *paths)
    assert stems(near) == ["red1", "both", "red2"]
    assert stems(program("query", own, "--max-distance", 0, *paths)) == ["red1"]


def test_nothing_near_enough(program, store, red, photos):
    done = program("query", "me.png", "--under", "gold", "--max-distance", 0.01)
    assert done.code == 0
    assert "no neighbours" in done.out


def test_min_score_goes_to_the_detector(program, store, red, monkeypatch):
    from facesearch import processing

    made = []
    before = processing.Pipeline

    def pipeline(spec):
        made.append(spec)
        return before(spec)

    monkeypatch.setattr("facesearch.processing.Pipeline", pipeline)
    program("query", "me.png", "--min-score", 0.3)
    assert made[0].recipe.detector.min_score == 0.3
    assert made[0].recipe.detector.thresholds[2] == 0.3


def test_the_limit_on_pixels_is_that_of_the_last_index(store):
    with StoreWriter.open(store, recipe()) as writer:
        writer.set_options({"max_pixels": 3_000_000_000})
        writer.finish()
    spec = query_spec(Store.open(store), RuntimeOptions(device="cpu"))
    assert spec.limits.max_pixels == 3_000_000_000


def test_while_an_index_is_under_way_and_after_it_was_stopped(program, photos, red, folder):
    path, progress = folder / "faces.npz", (12_400, 50_000)
    with enrolling(path, [photos], batch=4, progress=progress):
        assert len(Store.open(path).segments) == 3
        done = program("query", "me.png", "-k", 1)
        assert done.lines[2].endswith("red1.png")
        assert done.lines[-1].endswith("; index under way: 12,400 of 50,000")
        assert "index under way: 12,400 of 50,000" in program("info").out
        coverage = program("query", "me.png", "--json").json["coverage"]
        assert coverage["progress"] == {"done": 12_400, "total": 50_000, "running": True}
    stopped = program("query", "me.png", "-k", 1).lines[-1]
    assert "index interrupted at 12,400 of 50,000: run facesearch index to go on" in stopped
    assert "index interrupted: 12,400 of 50,000" in program("info").out


def test_roots_away(program, store, photos, red):
    photos.rename(photos.with_name("moved away"))
    done = program("query", "me.png", "-k", 1)
    assert done.code == 0
    assert "1 root away" in done.lines[-1]
    assert program("query", "me.png", "--json").json["coverage"]["roots_away"] == 1
