"""``facesearch forget``: what it shows, asks and prints."""

import json

import pytest

from facesearch.store import Store
from small_store import MIDDLE, RED, draw


def stems(store):
    return sorted(path.rpartition("/")[2] for path in Store.open(store).files.paths())


def test_photos_are_shown_and_forgotten(program, store, photos):
    seen = program("forget", photos / "red", "--dry-run")
    assert seen.code == 0
    assert seen.lines[-1] == "would forget 2 photos with 2 faces"
    assert seen.lines[0].endswith(f"{photos / 'red' / 'red1.png'}: 1 face")
    assert len(stems(store)) == 10
    refused = program("forget", photos / "red")
    assert refused.code == 2
    assert "nobody is there to ask; say --yes to forget" in refused.err
    assert len(stems(store)) == 10
    done = program("forget", photos / "red", "--yes")
    assert done.code == 0
    assert done.lines == ["forgot 2 photos with 2 faces"]
    assert "red1.png: 1 face" in done.err
    assert "not reached: the photos themselves" in done.err
    assert len(stems(store)) == 8
    checked = program("check", "--forgotten")
    assert checked.code == 0
    assert checked.out == f"{store}: sound; nothing is left of 2 photos that were forgotten\n"


def test_one_face_of_a_photo(program, store, photos):
    done = program("forget", photos / "both.png", "--face", 1, "--yes", "--json")
    assert done.code == 0
    assert done.json["faces"][0]["number"] == 1
    assert done.json["photos"] == []
    assert done.json["remembered"] is True
    assert len(Store.open(store).faces) == 9
    again = program("forget", photos / "both.png", "--face", 1, "--yes")
    assert again.code == 2
    assert "has no face 1 in the store; its faces: 2" in again.err
    assert program("query", "both.png", "--json").code == 1
    found = program("query", photos / "both.png", "--face", 2, "-k", 1, "--json")
    assert found.json["results"][0]["neighbors"][0]["id"].endswith("-2")


def test_all_faces_like_one(program, store, photos, red):
    done = program("forget", "--like", red, "--max-distance", 0.2, "--yes")
    assert done.code == 0
    assert done.lines == ["forgot 3 single faces"]
    assert "face 2 at 60,5" in done.err
    left = program("query", red, "-k", "all", "--json")
    assert min(near["distance"] for near in left.json["results"][0]["neighbors"]) > 0.2
    assert len(stems(store)) == 10, "the photos stay, without these faces"
    none = program("forget", "--like", red, "--max-distance", 0.2, "--yes")
    assert none.code == 2
    assert "no face in the store is within 0.2" in none.err
    checked = program("check", "--forgotten")
    assert checked.out.endswith("nothing is left of 3 single faces that were forgotten\n")


def test_what_is_alike_is_shown_with_its_distance_and_the_face_that_was_taken(
    program, store, crowd
):
    like = ("forget", "--like", "crowd.png", "--max-distance", 0.2)
    seen = program(*like, "--dry-run")
    assert (
        "crowd.png: 3 faces, taken: face 2 at 40,30, the most prominent; --face N takes another: "
        "1 at 5,2, 3 at 90,80"
    ) in seen.err
    assert seen.lines[-1] == "would forget 3 single faces"
    told = [float(line.rpartition(", distance ")[2]) for line in seen.lines[:-1]]
    answer = program("query", "crowd.png", "--by", "face", "--max-distance", 0.2, "--json")
    near = {each["id"]: each["distance"] for each in answer.json["results"][0]["neighbors"]}
    assert told == [round(distance, 3) for distance in near.values()]
    assert seen.lines[0].startswith(next(iter(near)))
    assert program(*like, "--dry-run", "--json").json["distances"] == pytest.approx(near, abs=1e-5)

    green = program(*like, "--face", 1)
    assert green.code == 2, "nobody is there to ask"
    assert "crowd.png: 3 faces, taken: face 1 at 5,2\n" in green.err
    assert "green1.png: face 1 at 30,20, distance 0.0" in green.err
    assert len(Store.open(store).faces) == 10


def test_more_than_are_shown_are_told_with_the_farthest(program, store, red, monkeypatch):
    monkeypatch.setattr("facesearch.cli.forget._SHOWN", 1)
    seen = program("forget", "--like", red, "--max-distance", 0.2, "--dry-run")
    assert seen.lines[1].startswith("and 2 more, up to distance 0.0")


def test_no_memory_and_allowing(program, store, photos):
    done = program("forget", photos / "red" / "red1.png", "--no-memory", "--yes")
    assert done.lines[-1] == "no hash was kept: index brings back what is still on the disk"
    assert Store.open(store).head.entered == {}
    program("forget", photos / "red" / "red2.png", "--yes")
    assert program("check", "--forgotten").out.endswith(
        "nothing is left of 1 photo that was forgotten\n"
    )
    allowed = program("forget", "--allow", photos / "red", photos / "blue" / "blue1.png")
    assert allowed.out == "1 photo had been forgotten; index takes it in again\n"
    none = program("forget", "--allow", photos / "red")
    assert none.out == "none of these photos had been forgotten\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name what to forget"),
        (("--like", "me.png"), "--like PHOTO and --max-distance D go together"),
        (("--max-distance", "1"), "--like PHOTO and --max-distance D go together"),
        (("--like", "me.png", "--max-distance", "nan"), "nan is not a number"),
        (("x.png", "--like", "me.png", "--max-distance", "1"), "leave out paths and --id"),
        (("--allow",), "--allow reads the photos it is for"),
        (("nobody.png",), "nobody.png: the store has no photo there"),
        (("--id", "12"), "--id 12: is no id"),
    ],
)
def test_what_cannot_be_meant(program, store, red, arguments, told):
    done = program("forget", *arguments, "--yes")
    assert done.code == 2
    assert told in done.err
    assert len(done.err.strip().splitlines()) <= 2


def test_no_store(program, folder):
    done = program("forget", "x.png", "--yes")
    assert done.code == 1
    assert "no store here" in done.err


def test_the_question_is_answered(program, store, photos, monkeypatch):
    monkeypatch.setattr("click.confirm", lambda text, err: "Forget 1 photo" in text and False)
    monkeypatch.setattr("facesearch.cli.forget._is_asked", lambda: True)
    done = program("forget", photos / "none.png")
    assert (done.code, len(stems(store))) == (1, 10)
    assert "nothing was forgotten" in done.err


def test_names_cannot_steer_the_terminal(program, folder, photos, store):
    from small_store import enroll

    draw(photos / "evil\x1b[2J.png", {RED: MIDDLE}, note=77)
    enroll(store, [photos])
    done = program("forget", photos / "evil\x1b[2J.png", "--dry-run")
    assert "\x1b" not in done.out + done.err
    as_json = program("forget", photos / "evil\x1b[2J.png", "--yes", "--json")
    assert json.loads(as_json.raw)["photos"][0]["paths"][0].endswith("evil\x1b[2J.png")


def test_info_tells_how_much_is_left_out(program, store, photos):
    assert "left out" not in program("info").out
    assert program("info", "--json").json["forgotten"] == {"photos": 0, "faces": 0}
    program("forget", photos / "red", "--yes")
    program("forget", photos / "both.png", "--face", 1, "--yes")
    assert program("info").lines[-1] == "left out 2 photos and 1 single face, forgotten for good"
    assert program("info", "--json").json["forgotten"] == {"photos": 2, "faces": 1}


def test_allowing_can_be_tried_without_a_change(program, store, photos):
    program("forget", photos / "red", "--yes")
    asked = program("forget", "--allow", photos / "red", "--dry-run")
    assert asked.out == "2 photos had been forgotten; index would take them in again\n"
    done = program("forget", "--allow", photos / "red")
    assert done.out == "2 photos had been forgotten; index takes them in again\n"


def test_what_a_repair_kept_is_named_until_it_is_gone(program, store, photos):
    raw = store.read_bytes()
    store.write_bytes(raw[:-100])
    assert program("repair").code == 0
    left = store.with_name("faces.npz.damaged")
    folder = store.with_name("faces.npz.damaged-2.parts")
    folder.mkdir()
    other = store.with_name("faces.npz.damaged by water.txt")
    other.touch()
    done = program("forget", photos / "red", "--yes", "--json")
    assert done.json["set_aside"] == [str(left), str(folder)]
    for path in (left, folder):
        told = f"not reached: {path}, kept by facesearch repair; delete it when you need it no more"
        assert told in done.err.splitlines()
    assert other.name not in done.err

    checked = program("check", "--forgotten")
    assert checked.code == 1
    assert "nothing is left" not in checked.out
    assert checked.lines == [
        *(
            f"{path}: kept by facesearch repair, may hold what was forgotten since; delete it when "
            "you need it no more"
            for path in (left, folder)
        ),
        f"{store}: 2 problems",
    ]
    assert program("check").code == 0
    left.unlink()
    folder.rmdir()
    assert program("check", "--forgotten").code == 0
    assert "kept by facesearch repair" not in program("forget", photos / "blue", "--yes").err
