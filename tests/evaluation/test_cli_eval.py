"""The command: what it takes, prints, writes, and how it ends."""

import dataclasses
import json

import pytest

from facesearch import private
from facesearch.cli import main
from facesearch.encrypting import encrypt
from facesearch.evaluation import running
from facesearch.store.passphrases import Given, Keys, unlocking
from sealed_stores import cheap_encryption
from small_store import MIDDLE, RED, ColorEmbedder, draw, enroll, recipe


@pytest.fixture
def run(color_people, monkeypatch, capsys):
    """Runs ``facesearch eval`` in this process; (exit code, standard output, standard error)."""
    from facesearch import processing

    class ColorPipeline(ColorEmbedder):
        def process(self, batch):
            from pathlib import Path

            return [self.result(Path(task.path)) for task in batch]

    monkeypatch.setattr(processing, "Pipeline", ColorPipeline)
    monkeypatch.chdir(color_people.home)

    def run(*arguments):
        capsys.readouterr()
        code = main.run(["eval", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_table_for_people(run, color_people):
    code, out, err = run(color_people.folder, "--pois", "--poi-photos", "3")
    assert code == 0, err
    assert "12 photos of 4 people" in out
    assert "100.0" in out and "rank-1" in out


def test_json_has_every_measure_with_its_interval(run, color_people):
    pairs = color_people.home / "pairs.txt"
    pairs.write_text("2\t1\nann 1 2\nann 1 bob 1\ncat 1 2\ncat 2 dan 2\n")
    code, out, _ = run("people", "--all-identities", "--open-set", "--pairs", "--json")
    assert code == 0
    (system,) = json.loads(out)["systems"]
    found = system["identification"][0]
    assert found["rank_1"]["value"] == found["map"]["value"] == 1
    assert set(found["rank_1"]) == {"value", "low", "high"}
    assert "20" in found["recall_at_k"]
    assert system["verification"]["accuracy"]["value"] == 1
    assert {"auc", "eer", "tar_at_far"} <= set(system["verification"])
    assert set(system["open_set"]["fnir_at_fpir"]) == {"0.1", "0.01", "0.001"}
    assert system["weights"]["facenet-128"]


def test_the_pairs_option_may_stand_before_the_folder(run, color_people):
    (color_people.home / "pairs.txt").write_text(
        "2\t1\nann 1 2\nann 1 bob 1\ncat 1 2\ncat 2 dan 2\n"
    )
    code, out, err = run("--pairs", "people")
    assert code == 0, err
    assert "4 pairs in 2 folds" in out


def test_without_a_protocol_everybody_is_searched_for_where_nobody_has_six_photos(run):
    code, out, _ = run("people", "--json")
    assert code == 0
    assert json.loads(out)["systems"][0]["identification"][0]["protocol"] == "all-identities"


def test_without_a_folder_the_one_the_store_was_made_from(run, color_people):
    enroll(color_people.home / "faces.npz", [color_people.folder])
    code, out, err = run("--json")
    assert code == 0
    assert json.loads(out)["dataset"]["folder"] == str(color_people.folder)
    assert f"store: {color_people.home / 'faces.npz'}" in err


def test_a_store_of_another_recipe_is_measured_as_it_is(run, color_people):
    made = dataclasses.replace(
        recipe(), detector=dataclasses.replace(recipe().detector, min_face=9)
    )
    enroll(color_people.home / "faces.npz", [color_people.folder], recipe_=made)
    code, out, err = run("--json")
    assert code == 0, err
    (system,) = json.loads(out)["systems"]
    assert system["name"] == "facenet, as in the store"
    assert system["recipe_digest"] == made.recipe_digest
    draw(color_people.folder / "ann" / "ann_0004.png", {RED: MIDDLE}, note=9)
    code, out, _ = run()
    assert code == 1
    assert "lacks 1 photos" in out and "facesearch index" in out


def test_a_report_is_written_and_can_be_drawn_again(run, color_people):
    code, first, err = run("people", "--report", "report")
    assert code == 0
    report = color_people.home / "report"
    assert {"index.html", "results.json", "table.csv", "table.tex"} <= {
        path.name for path in report.iterdir()
    }
    assert "report: report/index.html" in err
    assert "facesearch" in json.loads((report / "results.json").read_text())["command"]
    (report / "index.html").unlink()
    code, again, _ = run("--redraw", "report/results.json", "--report", "report")
    assert code == 0
    assert again == first
    assert (report / "index.html").is_file()


def test_labels_say_who_is_who_and_groups_are_counted(run, color_people):
    rows = ["path,name,group"]
    for name in ("ann", "bob", "cat", "dan"):
        rows += [f"{name}_{number:04d},{name},{name < 'c'}" for number in (1, 2, 3)]
    (color_people.home / "labels.csv").write_text("\n".join(rows))
    code, out, err = run("people", "--labels", "labels.csv", "--json")
    assert code == 0, err
    groups = json.loads(out)["systems"][0]["identification"][0]["groups"]
    assert groups["True"]["rank_1"]["value"] == 1


def test_a_system_without_weights_names_the_command_and_the_rest_counts(run):
    code, out, _ = run("people", "--system", "vgg16-l2", "--system", "facenet")
    assert code == 0
    assert "facesearch models pull vgg16" in out
    code, out, _ = run("people", "--system", "vgg16-l2")
    assert code == 1 and "weights missing" in out


def test_a_long_run_says_beforehand_what_it_takes(run, monkeypatch):
    from facesearch.evaluation import costs

    def slow(system, photos, work, jobs):
        return costs.Forecast(system.name, work.to_read, 4000.0, 3_000_000_000, 9_000_000)

    monkeypatch.setattr(running.costs, "forecast", slow)
    _, _, err = run("people")
    assert "67 min" in err and "3.0 GB" in err and "9.0 MB" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "name the folder: facesearch eval FOLDER"),
        (("nowhere",), 1, "no such folder"),
        (("people", "--pairs"), 1, "name the file with --pairs FILE"),
        (("people", "--pairs", "nothing.txt"), 1, "cannot read nothing.txt"),
        (("people", "--system", "magic"), 2, "no system is named 'magic'"),
        (("people", "--poi", "eve"), 1, "eve has 0 photos here"),
        (("people", "--pois"), 1, "nobody has exactly 6 photos"),
        (("people", "--limit", "1"), 2, "--limit"),
        (("--redraw", "people"), 1, "people"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(run, arguments, code, words):
    ended, out, err = run(*arguments)
    assert ended == code
    assert out == ""
    assert words in err.strip().splitlines()[-1]
    assert "Traceback" not in err


@pytest.fixture
def _cheap():
    with cheap_encryption():
        yield


@pytest.mark.usefixtures("_cheap")
def test_what_is_written_of_an_encrypted_store_is_told_before(run, color_people):
    store = color_people.home / "faces.npz"
    secret = color_people.home / "secret"
    private.write_file(secret, b"correct horse")
    asked = ("--report", "report", "--passphrase-file", secret)
    enroll(store, [color_people.folder])
    with unlocking(Keys(Given("correct horse"))):
        encrypt(store)
    told = f"{store} is encrypted, what is written to report is not"
    code, _, err = run("people", "--pois", "--poi-photos", "3", *asked)
    assert code == 0, err
    assert err.index(told) < err.index("report: report/index.html")
    code, _, err = run("--redraw", "report/results.json", *asked)
    assert code == 0, err
    assert err.index(told) < err.index("report: report/index.html")
