"""``facesearch info`` and ``facesearch check``."""

from __future__ import annotations

import os
import shutil

import pytest

from facesearch.store import Store
from small_store import BLUE, MIDDLE, draw, enroll, recipe


def test_info_for_people(program, store, photos):
    done = program("info")
    assert done.code == 0
    rows = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in done.lines}
    assert rows["store"].startswith(f"{store} (format {Store.open(store).version}, ")
    assert rows["store"].endswith(" kB)")
    assert rows["faces"] == "10 in 9 photos"
    assert rows["photos"] == "1 without a face, 0 failed"
    assert "facenet-128 (128-d)" in rows["recipe"]
    assert rows["root"] == f"1   {photos}, 10 photos" or f"{photos}, 10 photos" in done.out
    assert "away" not in done.out


def test_info_for_programs(program, store, photos):
    found = program("info", "--json").json
    made = recipe()
    assert found["schema"] == 1
    assert found["path"] == str(store)
    assert found["bytes"] == store.stat().st_size
    assert found["recipe_digest"] == made.recipe_digest
    assert found["space_digest"] == made.space_digest
    assert found["recipe"]["extractor"]["model"] == "facenet-128"
    assert found["coverage"]["faces"] == 10
    assert found["coverage"]["progress"] is None
    assert found["roots"] == [{"number": 1, "path": str(photos), "there": True, "photos": 10}]


def test_info_says_that_a_root_is_away(program, store, photos):
    photos.rename(photos.with_name("gone"))
    assert f"{photos} (away), 10 photos" in program("info").out
    assert program("info", "--json").json["coverage"]["roots_away"] == 1


def test_check_of_a_sound_store(program, store):
    done = program("check")
    assert done.code == 0
    assert done.lines == [f"{store}: sound"]
    assert program("check", "--json").json == {"schema": 1, "store": str(store), "problems": []}


@pytest.mark.parametrize("cut", [True, False])
def test_check_of_a_damaged_store(program, store, cut):
    raw = bytearray(store.read_bytes())
    if cut:
        del raw[-200:]
    else:
        raw[raw.index(Store.open(store).rows[0].tobytes()) + 5] ^= 1
    store.write_bytes(raw)
    done = program("check")
    assert done.code == 1
    assert len(done.lines) >= 2
    assert str(store) in done.lines[0]
    assert "problem" in done.lines[-1]
    found = program("check", "--json")
    assert found.code == 1
    assert found.json["problems"]


def test_deep_finds_changed_and_missing_photos_in_place(program, store, photos):
    assert program("check", "--deep").code == 0
    draw(photos / "blue" / "blue1.png", {BLUE: MIDDLE}, note=77)
    (photos / "none.png").unlink()
    assert program("check").code == 0
    done = program("check", "--deep")
    assert done.code == 1
    assert done.lines == [
        f"{photos / 'blue' / 'blue1.png'}: changed since it was indexed",
        f"{photos / 'none.png'}: missing",
        f"{store}: 2 problems",
    ]
    os.mkfifo(photos / "none.png")
    assert f"{photos / 'none.png'}: no longer a file" in program("check", "--deep").lines


def test_deep_with_a_root_away_is_one_problem(program, store, photos):
    photos.rename(photos.with_name("gone"))
    done = program("check", "--deep")
    assert done.code == 1
    assert done.lines == [
        f"{photos}: root away, 10 photos not checked",
        f"{store}: 1 problem",
    ]


def test_check_of_a_store_in_parts(program, photos, folder):
    enroll(folder / "faces.npz", [photos], batch=3, finish=False)
    assert program("check").code == 0
    part = sorted((folder / "faces.npz.parts").glob("*.npz"))[0]
    shutil.copy(part, folder / "part.npz")
    assert "name the store itself" in program("info", "part.npz").err
    part.unlink()
    done = program("check", "--json")
    assert done.code == 1
    assert "a part of it is gone" in done.json["problems"][0]
