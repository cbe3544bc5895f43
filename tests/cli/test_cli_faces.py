"""``facesearch faces``: the table, JSON, numbered photos, crops, exit codes."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesearch.records import Photo, PhotoFacts
from small_store import BLUE, GREEN, MIDDLE, RED, ColorEmbedder, draw


class Colors:
    """A detector that sees what the embedder of colours sees."""

    def detect(self, pixels, min_face):
        facts = PhotoFacts(b"", b"", pixels.shape[1], pixels.shape[0], 1.0)
        return ColorEmbedder().detect(Photo(pixels, facts))


@pytest.fixture(autouse=True)
def colors(monkeypatch):
    monkeypatch.setattr("facesearch.processing.load_detector", lambda *_: Colors())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_table(program, crowd):
    done = program("faces", "crowd.png")
    assert done.code == 0
    assert done.err == ""
    assert done.lines[0] == "crowd.png: 3 faces, 120 x 100 pixels"
    assert done.lines[1].split()[:7] == ["face", "x", "y", "width", "height", "score", "sharpness"]
    assert done.lines[3].split()[:6] == ["2", "40", "30", "40", "40", "0.990"]
    assert len(done.lines) == 5


def test_json(program, crowd):
    (photo,) = program("faces", "crowd.png", "--json").json["photos"]
    assert (photo["path"], photo["width"], photo["height"]) == ("crowd.png", 120, 100)
    assert [face["number"] for face in photo["faces"]] == [1, 2, 3]
    second = photo["faces"][1]
    assert second["box"] == [40, 30, 40, 40]
    assert second["id"] == f"{photo['content'][:16]}-2"
    assert len(second["landmarks"]) == 5
    assert second["sharpness"] >= 0
    assert second["crop"] is photo["drawn"] is None


def test_exit_codes_and_one_bad_photo(program, red, folder):
    draw(folder / "none.png", {})
    (folder / "bad.jpg").write_bytes(b"no photo at all")
    assert program("faces", "none.png").code == 3
    assert program("faces", "none.png", "bad.jpg").code == 3
    assert program("faces", "bad.jpg", "gone.png").code == 1
    mixed = program("faces", "bad.jpg", "gone.png", "none.png", "me.png")
    assert mixed.code == 0
    blocks = mixed.out.split("\n\n")
    assert [block.partition(":")[0] for block in blocks] == [
        "bad.jpg", "gone.png", "none.png", "me.png"
    ]  # fmt: skip
    assert blocks[2] == "none.png: no face, 120 x 100 pixels"
    as_json = program("faces", "bad.jpg", "gone.png", "me.png", "--json")
    assert [each.get("error", {}).get("code") for each in as_json.json["photos"]] == [
        "not-a-photo", "vanished", None
    ]  # fmt: skip
    assert as_json.err.count("facesearch: ") == 2


def test_numbered_photos(program, crowd, red, folder):
    done = program("faces", "crowd.png", "me.png", "--draw", "n.png", "--json")
    assert done.code == 0
    first, second = (Path(photo["drawn"]) for photo in done.json["photos"])
    assert [first.name, second.name] == ["n.png", "n-2.png"]
    assert done.err == f"faces numbered in {first}\nfaces numbered in {second}\n"
    assert mode(first) == mode(second) == 0o600
    with Image.open(first) as picture:
        assert max(picture.size) == 900
    assert program("faces", "me.png", "--draw", "n.png").code == 0  # an earlier one is replaced


def test_nothing_else_is_drawn_over(program, crowd, red, folder):
    before = red.read_bytes()
    done = program("faces", "crowd.png", "--draw", "me.png")
    assert done.code == 2
    assert "no picture of numbered faces" in done.err
    assert red.read_bytes() == before
    assert program("faces", "crowd.png", "--draw", "n.jpg").code == 2
    assert program("faces", "crowd.png", "--draw", "gone/n.png").code == 1
    shutil.copy("me.png", "n-2.png")
    assert program("faces", "crowd.png", "me.png", "--draw", "n.png").code == 2
    assert Path("n-2.png").read_bytes() == before


def test_no_picture_where_there_is_no_face(program, folder):
    draw(folder / "none.png", {})
    done = program("faces", "none.png", "--draw", "n.png")
    assert done.code == 3
    assert done.err == "n.png: not drawn, there is no face to number\n"
    assert not Path("n.png").exists()


def test_one_file_for_each_face(program, crowd, folder):
    done = program("faces", "crowd.png", "--crops", "out/cut", "--json")
    assert done.code == 0
    files = [Path(face["crop"]) for face in done.json["photos"][0]["faces"]]
    assert sorted(files) == sorted((folder / "out" / "cut").iterdir())
    assert len(files) == 3
    assert {mode(file) for file in files} == {0o600}
    assert mode(folder / "out" / "cut") == 0o700
    for file, color in zip(files, (GREEN, RED, BLUE), strict=True):
        with Image.open(file) as crop:
            middle = np.asarray(crop)[crop.height // 2, crop.width // 2]
        assert tuple(middle) == color
    assert done.err == f"3 faces cut out into {folder / 'out' / 'cut'}\n"


def test_crops_of_photos_with_one_name_do_not_collide(program, folder):
    for number in (1, 2):
        draw(folder / f"{number}" / "me.png", {RED: MIDDLE}, note=number)
    done = program("faces", "1/me.png", "2/me.png", "--crops", "cut")
    assert done.code == 0
    assert len(list((folder / "cut").iterdir())) == 2
    again = program("faces", "1/me.png", "2/me.png", "--crops", "cut")
    assert again.code == 0
    assert len(list((folder / "cut").iterdir())) == 2


def test_a_crop_replaces_nothing_that_is_no_crop(program, red, folder):
    (file,) = (
        Path(face["crop"])
        for photo in program("faces", "me.png", "--crops", "cut", "--json").json["photos"]
        for face in photo["faces"]
    )
    file.unlink()
    file.symlink_to(red)
    before = red.read_bytes()
    assert program("faces", "me.png", "--crops", "cut").code == 2
    assert red.read_bytes() == before
    assert program("faces", "me.png", "--crops", "me.png").code == 2


def test_folders_and_standard_input(program, photos, red):
    done = program("faces", "photos", "--json")
    assert len(done.json["photos"]) == 10
    piped = program("faces", "-", stdin=red.read_bytes())
    assert piped.code == 0
    assert piped.lines[0] == "standard input: 1 face, 120 x 100 pixels"


def test_names_cannot_steer_a_terminal(program, folder):
    draw(folder / "a\x1b[2Jb.png", {RED: MIDDLE})
    done = program("faces", "a\x1b[2Jb.png", "--crops", "cut", "--draw", "n.png")
    assert done.code == 0
    assert "\x1b" not in done.out + done.err
    assert all("\x1b" not in file.name for file in (folder / "cut").iterdir())


def test_help_has_examples(program):
    assert "facesearch faces family.jpg --draw numbered.png\n" in program("faces", "--help").out


@pytest.mark.weights
def test_a_real_face_is_cut_out(samples, tmp_path, monkeypatch, capfdbinary):
    monkeypatch.undo()
    from facesearch.cli.main import run

    photo = sorted((samples / "val" / "madonna").iterdir())[0]
    code = run(["faces", str(photo), "--crops", str(tmp_path / "cut"), "--offline"])
    assert code == 0
    assert list((tmp_path / "cut").iterdir())
