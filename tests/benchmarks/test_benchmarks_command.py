import json
from pathlib import Path

import pytest
from benchmarks.measurements import MEASUREMENTS, Measurement
from benchmarks.processes import BenchmarkError
from benchmarks.results import Figure, Measured, Ratio
from click.testing import CliRunner

from benchmarks import __main__ as command

README = Path(command.__file__).with_name("README.md")


def fine(bench):
    return Measured((Figure("time", "facesearch", "s", (1.0,) * bench.options.repeats),),
                    (Ratio("a over b", (2.0,), at_least=1.0),))  # fmt: skip


def broken(bench):
    raise BenchmarkError("nothing to measure")


@pytest.fixture
def run(monkeypatch, tmp_path):
    chosen = {
        "index": Measurement("Indexing", fine),
        "large": Measurement("Large", broken),
        "setup": Measurement("Set-up", fine, by_default=False),
    }
    monkeypatch.setattr(command, "MEASUREMENTS", chosen)
    (tmp_path / "lfw").mkdir()

    def call(*arguments: str):
        given = ["--lfw", str(tmp_path / "lfw"), *arguments]
        return CliRunner().invoke(command.benchmarks, given, catch_exceptions=False)

    return call


def test_a_failure_is_kept_and_the_others_are_measured(run, tmp_path):
    done = run("--out", str(tmp_path / "a.json"), "--repeats", "2")
    assert done.exit_code == 0
    plain = json.loads((tmp_path / "a.json").read_text())
    assert set(plain["measured"]) == {"index"}
    assert plain["failures"] == {"large": "nothing to measure"}
    assert plain["options"]["repeats"] == 2
    assert plain["machine"]["cores"] >= 1
    assert plain["machine"]["processor"]
    assert plain["versions"]["numpy"]
    assert "| index | a over b | at least 1 | 2.00 | yes |" in done.stdout


def test_only_measures_what_it_names(run, tmp_path):
    run("--only", "setup", "--out", str(tmp_path / "a.json"))
    assert set(json.loads((tmp_path / "a.json").read_text())["measured"]) == {"setup"}


def test_a_result_read_is_not_measured_again_but_added_to(run, tmp_path):
    first, second = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    run("--only", "index", "--out", first)
    before = Path(first).read_text()
    run("--read", first, "--out", second)
    assert Path(second).read_text() == before
    run("--read", first, "--only", "setup", "--out", second)
    assert set(json.loads(Path(second).read_text())["measured"]) == {"index", "setup"}


def test_tables_pictures_and_comparison(run, tmp_path):
    first = str(tmp_path / "a.json")
    run("--only", "index", "--out", first)
    done = run("--read", first, "--markdown", str(tmp_path / "t.md"), "--compare", first,
               "--plots", str(tmp_path / "plots"))  # fmt: skip
    assert "| time | facesearch | 1.00 | s |" in (tmp_path / "t.md").read_text()
    assert "within noise" in done.stdout
    assert (tmp_path / "plots").is_dir()


def test_a_file_that_is_no_result_is_told_before_anything_is_measured(run, tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(BenchmarkError, match=r"x\.json"):
        run("--compare", str(tmp_path / "x.json"), "--out", str(tmp_path / "a.json"))
    assert not (tmp_path / "a.json").exists()


def test_every_measurement_is_in_the_readme():
    text = README.read_text(encoding="utf-8")
    for name in MEASUREMENTS:
        assert f"| `{name}` |" in text, name


@pytest.mark.weights
@pytest.mark.lfw
def test_an_unchanged_folder_is_indexed_again_without_opening_a_photo(weights, lfw, tmp_path):
    out = tmp_path / "a.json"
    options = ["--lfw", str(lfw), "--photos", "16", "--repeats", "1", "--only", "again"]
    done = CliRunner().invoke(command.benchmarks, [*options, "--out", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert not found["failures"]
    ratios = {each["name"]: each["median"] for each in found["measured"]["again"]["ratios"]}
    assert ratios["photos opened by the second index"] == 0
    assert ratios["opened by a first index of 16 photos, over 16"] == 1
