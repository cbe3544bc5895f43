"""Queries with the real networks: the sample photos, through the library and the program."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facesearch
from facesearch.errors import NoFaceError
from group_photo import side_by_side

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def asked(samples) -> list[Path]:
    """The 25 ``val`` photos."""
    photos = sorted((samples / "val").rglob("*.jpg"))
    assert len(photos) == 25
    return photos


def person(path: str | Path) -> str:
    return Path(path).parent.name


def program(*arguments: object, **options) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "facesearch", *map(str, arguments)],
        capture_output=True,
        timeout=250,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def by_program(sample_store, asked, tmp_path_factory):
    """What the program says for all of them at once."""
    done = program(
        *("query", *asked, "-k", 3, "--json", "--offline", "--store", sample_store),
        cwd=tmp_path_factory.mktemp("program"),
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_right_person_is_first_for_all_25(by_program, asked):
    results = json.loads(by_program.stdout)["results"]
    assert [result["query"]["path"] for result in results] == [str(photo) for photo in asked]
    assert all(result["query"]["faces"] for result in results)
    first = [person(result["neighbors"][0]["path"]) for result in results]
    assert first == [person(photo) for photo in asked]
    assert all(Path(near["path"]).is_file() for result in results for near in result["neighbors"])


def test_library_and_program_agree(by_program, sample_gallery, asked):
    for result, photo in list(zip(json.loads(by_program.stdout)["results"], asked, strict=True))[
        ::5
    ]:
        found = sample_gallery.query(photo, k=3)
        assert [near.id for near in found.neighbors] == [near["id"] for near in result["neighbors"]]
        assert [near.distance for near in found.neighbors] == pytest.approx(
            [near["distance"] for near in result["neighbors"]], abs=1e-5
        )


def test_networks_write_nothing_beside_the_data(by_program, sample_store):
    lines = by_program.stderr.decode().splitlines()
    assert lines[0] == f"store: {sample_store}"
    assert lines[1:] == []


def test_a_photo_of_the_store_is_its_own_nearest_and_can_be_left_out(sample_gallery, samples):
    own = sorted((samples / "train" / "madonna").iterdir())[0]
    first = sample_gallery.query(own, k=1).neighbors[0]
    assert first.path == str(own)
    assert first.distance < 1e-3
    others = sample_gallery.query(own, k=1, exclude_self=True).neighbors
    assert others[0].path != str(own)
    assert person(others[0].path) == "madonna"


def test_a_drawn_box_finds_what_a_found_one_does(sample_gallery, asked):
    found = sample_gallery.query(asked[0], k=5)
    (face,) = found.query.faces
    drawn = sample_gallery.query(asked[0], k=5, box=face.box)
    assert drawn.neighbors[0].id == found.neighbors[0].id
    assert {person(near.path) for near in drawn.neighbors} == {person(asked[0])}
    # Landmarks are looked for in the box as it was drawn, so they lie a little elsewhere.
    assert drawn.neighbors[0].distance == pytest.approx(found.neighbors[0].distance, abs=0.05)


def test_several_people_on_one_photo(sample_gallery, asked, tmp_path):
    people = {person(photo): photo for photo in asked}
    names = ["elton_john", "madonna", "jerry_seinfeld"]
    photo = side_by_side([people[name] for name in names], tmp_path / "three.jpg")
    results = sample_gallery.query_faces(photo, k=1)
    assert [result.query.face for result in results] == [1, 2, 3]
    lefts = [face.box.x for face in results[0].query.faces]
    assert lefts == sorted(lefts)
    assert [person(result.neighbors[0].path) for result in results] == names
    one = sample_gallery.query(photo, k=1, face=2)
    assert one.neighbors[0].id == results[1].neighbors[0].id
    chosen = sample_gallery.query(photo, k=1)
    assert chosen.notes
    assert chosen.query.face in (1, 2, 3)


def test_orientation_and_size_do_not_matter(sample_gallery, asked):
    picture = Image.open(asked[1]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right when shown
    turned = io.BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(turned, "JPEG", quality=97, exif=exif)
    large = picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.BICUBIC)
    expected = person(asked[1])
    for photo in (turned.getvalue(), large, np.asarray(picture)):
        assert person(sample_gallery.query(photo, k=1).neighbors[0].path) == expected


def test_no_face(sample_gallery, sample_store, tmp_path):
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "sky.png")
    with pytest.raises(NoFaceError, match="--box"):
        sample_gallery.query(tmp_path / "sky.png")
    done = program("query", "sky.png", "--offline", "--store", sample_store, cwd=tmp_path)
    assert done.returncode == 3
    assert b"--min-score" in done.stdout
    assert b"Traceback" not in done.stderr


def test_same_answers_from_eight_threads(sample_gallery, asked):
    expected = [sample_gallery.query(photo, k=5) for photo in asked[:8]]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda photo: sample_gallery.query(photo, k=5), asked[:8]))
    assert found == expected


def test_embeddings_are_unit_rows(sample_gallery, asked):
    rows = sample_gallery.embed(asked[0])
    assert rows.shape == (1, 128)
    assert np.linalg.norm(rows[0]) == pytest.approx(1, abs=1e-5)
    by_row = sample_gallery.query(rows[0], k=5).neighbors
    by_photo = sample_gallery.query(asked[0], k=5).neighbors
    assert [near.id for near in by_row] == [near.id for near in by_photo]


def test_nothing_is_printed(sample_gallery, asked, capfd):
    sample_gallery.query(asked[0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.lfw
def test_faces_of_people_with_six_photos(lfw, tmp_path):
    """Five of them, each photo against all others."""
    folders = [place for place in sorted(lfw.iterdir()) if len(list(place.glob("*_*.jpg"))) == 6][
        :5
    ]
    store = tmp_path / "faces.npz"
    facesearch.index(folders, store, facesearch.IndexOptions(jobs=1))
    gallery = facesearch.open(store, offline=True)
    assert gallery.coverage.photos == 30
    right = 0
    for photo in sorted(path for folder in folders for path in folder.glob("*.jpg")):
        first = gallery.query(photo, k=1, exclude_self=True).neighbors[0]
        right += person(first.path) == person(photo)
    assert right >= 29
