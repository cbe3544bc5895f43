"""How sure each row is, where the distances of a store are calibrated; ``--fmr``."""

from __future__ import annotations

import csv
import io

import pytest

from small_store import GREEN, MIDDLE, RED, draw, small_calibration


def neighbors(done):
    return done.json["results"][0]["neighbors"]


def test_the_table(program, store, red, calibrated):
    lines = program("query", red, "-k", "all").lines
    assert lines[1].split() == ["rank", "similarity", "distance", "band", "face", "path"]
    assert lines[2].split()[3] == "likely"
    marks = [line for line in lines if line.startswith("-- ")]
    assert marks == ["-- beyond here about 1 false match is to be expected among 10 faces --"]
    # Strangers' colours are farther than the 0.5 at which 1 of the 10 faces is expected.
    assert lines.index(marks[0]) == 2 + 3
    assert lines[-3].startswith("about ")
    assert lines[-3].endswith(" false matches among 10 faces at this distance")


def test_json_and_csv(program, store, red, calibrated):
    near = neighbors(program("query", red, "-k", "all", "--json"))
    known = small_calibration()
    for line in near:
        assert line["probability"] == pytest.approx(known.probability(line["distance"]), abs=1e-6)
        expected = known.expected_false_matches(line["distance"], 10)
        assert line["expected_false_matches"] == pytest.approx(expected, rel=1e-3)
        assert line["band"] in ("likely", "possible", "unlikely")
    assert (near[0]["band"], near[-1]["band"]) == ("likely", "unlikely")
    text = program("query", red, "-k", "all", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["band"] for row in rows] == [line["band"] for line in near]
    assert [float(row["probability"]) for row in rows] == [line["probability"] for line in near]


def test_what_is_expected_is_counted_among_the_faces_searched(program, store, red, calibrated):
    whole = program("query", red, "-k", 1, "--json").json["results"][0]
    part = program("query", red, "-k", 1, "--under", "red", "--json").json["results"][0]
    assert (whole["searched"], part["searched"]) == (10, 2)
    (all_, few) = (result["neighbors"][0] for result in (whole, part))
    assert all_["distance"] == few["distance"] == 0
    assert all_["expected_false_matches"] == pytest.approx(1e-3)
    assert few["expected_false_matches"] == pytest.approx(2e-4)


def test_each_example_of_a_person_may_meet_strangers(program, store, red, folder, calibrated):
    draw(folder / "too.png", {(200, 1, 0): MIDDLE})
    done = program("query", red, "too.png", "--same-person", "-k", 1, "--json")
    assert done.json["results"][0]["searched"] == 10
    assert neighbors(done)[0]["expected_false_matches"] == pytest.approx(2e-3)


def test_fmr_stands_for_a_distance(program, store, red, calibrated):
    near = neighbors(program("query", red, "--fmr", "1e-2", "-k", "all", "--json"))
    same = neighbors(program("query", red, "--max-distance", 0.1, "-k", "all", "--json"))
    assert near == same
    assert 0 < len(near) < 10
    wide = neighbors(program("query", red, "--fmr", "0.999999", "-k", "all", "--json"))
    assert len(wide) == 9


@pytest.mark.parametrize("rate", ["0", "1", "-1e-4", "nan", "7", "few"])
def test_a_rate_lies_between_0_and_1(program, store, red, calibrated, rate):
    done = program("query", red, "--fmr", rate)
    assert (done.code, done.raw) == (2, b"")
    assert "--fmr" in done.err


def test_fmr_and_max_distance_exclude_each_other(program, store, red, calibrated):
    done = program("query", red, "--fmr", "1e-3", "--max-distance", "0.5")
    assert done.code == 2
    assert "--fmr and --max-distance exclude each other" in done.err


def test_a_store_without_calibration(program, store, red):
    done = program("query", red, "--fmr", "1e-3")
    assert (done.code, done.raw) == (2, b"")
    assert f"{store}: the distances of facenet are not calibrated" in done.err
    assert "use --max-distance" in done.err
    plain = program("query", red)
    assert plain.code == 0
    assert "band" not in plain.out
    assert "false match" not in plain.out
    near = neighbors(program("query", red, "--json"))
    assert {
        (line["probability"], line["expected_false_matches"], line["band"]) for line in near
    } == {(None, None, None)}


def test_a_query_without_neighbours_says_nothing_of_strangers(program, store, folder, calibrated):
    draw(folder / "q.png", {RED: MIDDLE})
    done = program("query", "q.png", "--under", "green", "--max-distance", 0.1)
    assert done.code == 0
    assert "no neighbours" in done.out
    assert "false match" not in done.out


def test_the_band_is_on_the_contact_sheet(program, store, folder, calibrated, monkeypatch):
    from facesearch.report.contact_sheet import contact_sheet

    drawn = []

    def noted(asked, tiles, title, totals=None):
        drawn.extend(tile.lines for tile in tiles)
        return contact_sheet(asked, tiles, title, totals)

    monkeypatch.setattr("facesearch.report.contact_sheet.contact_sheet", noted)
    draw(folder / "q.png", {GREEN: MIDDLE})
    assert program("query", "q.png", "-k", 2, "--contact-sheet", "sheet.png").code == 0
    assert drawn[0][1] == "distance 0.000 · likely"
