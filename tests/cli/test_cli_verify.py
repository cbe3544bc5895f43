"""``facesearch verify``: what it prints, and exit codes that a script can use."""

from __future__ import annotations

import json

import pytest

from small_store import GREEN, MIDDLE, RED, draw


@pytest.fixture
def near(folder):
    return draw(folder / "near.png", {(RED[0], RED[1] + 2, RED[2]): MIDDLE})


@pytest.fixture
def green(folder):
    return draw(folder / "green.png", {GREEN: MIDDLE})


def test_exit_codes(program, calibrated, red, near, green, folder):
    draw(folder / "none.png", {})
    (folder / "bad.jpg").write_bytes(b"no photo at all")
    codes = {
        name: program("verify", "me.png", name).code
        for name in ("near.png", "green.png", "none.png", "bad.jpg", "gone.png")
    }
    assert codes == {"near.png": 0, "green.png": 4, "none.png": 3, "bad.jpg": 1, "gone.png": 1}


def test_what_a_person_reads(program, calibrated, red, near):
    done = program("verify", "me.png", "near.png")
    assert done.err == ""
    assert done.lines == [
        "same person: me.png (face 1 of 1 at 30,20,40,40) and near.png (face 1 of 1 at "
        "30,20,40,40)",
        "distance 0.010; up to 0.050 counts as one person: 1 in 1,000 pairs of different people "
        "lie so near too",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fmr", "0.25"), ": 25% of pairs of different people lie so near too"),
        (("--fmr", "0.003"), ": 1 in 330 pairs of different people lie so near too"),
        (("--max-distance", "0"), ": 1 in 10,000 pairs of different people lie so near too"),
    ],
)
def test_rates_as_people_say_them(program, calibrated, red, near, options, said):
    assert said in program("verify", "me.png", "near.png", *options).lines[1]


def test_of_a_rate_far_below_what_was_counted_no_number_is_said(program, calibrated, red, near):
    import dataclasses

    from facesearch.records import Bound, Box, Query, QueryFace, Verdict
    from facesearch.report.verdict import render_verdict

    asked = Query("me.png", 1, (QueryFace(1, Box(1, 2, 3, 4), 0.9),))
    verdict = Verdict(asked, asked, "facenet", Bound(0.1, 1e-12, 1e-5), same=True, distance=0.1)
    told = ": fewer than 1 in 100,000 pairs of different people lie so near too\n"
    assert render_verdict(verdict, json=False).decode().endswith(told)
    near_it = dataclasses.replace(verdict, bound=Bound(0.1, 5e-6, 1e-5))
    assert b": about 1 in 200,000 pairs" in render_verdict(near_it, json=False)


def test_two_people(program, calibrated, red, green):
    done = program("verify", "me.png", "green.png")
    assert done.lines[0].startswith("different people: me.png (face 1")
    assert len(done.lines) == 2


def test_no_rate_is_said_that_nobody_counted(program, red, near, monkeypatch):
    import dataclasses

    from small_store import small_calibration

    partly = dataclasses.replace(small_calibration(), counted_from=0.1)
    monkeypatch.setattr("facesearch.calibration.find_calibration", lambda space: partly)
    done = program("verify", "me.png", "near.png", "--fmr", "2e-4")
    assert done.lines[1].endswith(
        ": about 1 in 5,000 pairs of different people lie so near too (a fitted line, not counted)"
    )
    assert done.lines[-1].startswith("note: false match rates below 1.0e-02 are a line")


def test_json(program, calibrated, red, green):
    done = program("verify", "me.png", "green.png", "--json")
    assert done.code == 4
    found = done.json
    assert found["schema"] == 1
    assert found["same"] is False
    assert found["recipe"] == "facenet"
    assert found["distance"] > found["bound"]["max_distance"] == pytest.approx(0.05)
    assert found["bound"] == {
        "max_distance": pytest.approx(0.05), "fmr": 1e-3, "counted": True, "least_counted": 1e-4
    }  # fmt: skip
    assert found["a"]["path"] == "me.png"
    assert found["a"]["faces"][0]["box"] == list(map(float, MIDDLE))
    assert found["b"]["face"] == 1
    assert found["error"] is None


def test_json_of_a_failure_names_it_once_for_people_too(program, calibrated, red, folder):
    draw(folder / "none.png", {})
    done = program("verify", "none.png", "me.png", "--json")
    assert done.code == 3
    assert done.json["error"]["code"] == "no-face"
    assert done.json["same"] is None
    assert done.err.count("\n") == 1
    assert done.err.startswith("facesearch: none.png: no face found; say where it is with --box-a")


def test_which_face(program, calibrated, red, crowd):
    usual = program("verify", "me.png", "crowd.png")
    assert usual.code == 0
    assert "note: crowd.png: 3 faces, compared face 2" in usual.out
    other = program("verify", "me.png", "crowd.png", "--face-b", 1)
    assert other.code == 4
    assert "note" not in other.out
    assert program("verify", "me.png", "crowd.png", "--face-b", 9).code == 3
    boxed = program("verify", "crowd.png", "me.png", "--box-a", "45,35,20,20")
    assert boxed.code == 0
    assert "crowd.png (the given box 45,35,20,20)" in boxed.out


def test_standard_input(program, calibrated, red, near):
    done = program("verify", "-", "near.png", stdin=red.read_bytes())
    assert done.code == 0
    assert "standard input (face 1 of 1 at" in done.out
    assert program("verify", "-", "-").code == 2


def test_distances_that_are_not_calibrated(program, red, near):
    refused = program("verify", "me.png", "near.png")
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "--max-distance D" in refused.err
    done = program("verify", "me.png", "near.png", "--max-distance", 0.3)
    assert done.code == 0
    assert done.lines[1] == (
        "distance 0.010; up to 0.300 counts as one person, and how many strangers lie so near is "
        "not known for facenet"
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--fmr", "0"),
        ("--fmr", "nan"),
        ("--fmr", "1e-9"),
        ("--fmr", "0.01", "--max-distance", "1"),
        ("--max-distance", "2.01"),
        ("--max-distance", "inf"),
        ("--face-a", "0"),
        ("--box-b", "1,2,3"),
        ("--face-a", "1", "--box-a", "1,2,3,4"),
        ("--system", "nobody"),
        ("--system", "vgg16-l2"),
        ("--system", "facenet", "--model", "facenet-128"),
        ("--runtime", "tensorflow", "--precision", "int8"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_photo_is_read(program, calibrated, red, options):
    done = program("verify", "me.png", "gone.png", *options)
    assert done.code == 2
    assert done.raw == b""
    assert done.err.count("\n") == 1


def test_folders_are_no_photos(program, calibrated, red, photos):
    done = program("verify", "me.png", "photos")
    assert done.code == 2
    assert "a folder with 10 photos" in done.err


def test_names_cannot_steer_a_terminal(program, calibrated, red, folder):
    name = "a\x1b[2Jb.png"
    draw(folder / name, {RED: MIDDLE}, note=3)
    done = program("verify", "me.png", name)
    assert done.code == 0
    assert "\x1b" not in done.out
    assert json.loads(program("verify", "me.png", name, "--json").out)["b"]["path"] == name


def test_help_has_examples(program):
    done = program("verify", "--help")
    assert "facesearch verify passport.jpg selfie.jpg\n" in done.out
    assert "4 different people" in done.out


@pytest.mark.weights
def test_the_sample_photos(samples, capfdbinary, monkeypatch):
    from facesearch.cli.main import run

    people = [
        sorted((samples / "val" / name).iterdir())[:2] for name in ("mindy_kaling", "elton_john")
    ]
    codes = [
        run(["verify", *map(str, pair), "--offline"])
        for pair in (*people, (people[0][0], people[1][0]))
    ]
    assert codes == [0, 0, 4]
