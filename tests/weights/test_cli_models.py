from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_index import FILE, WEIGHTS, Index, drawn, sha256

from facesearch import weights
from facesearch.cli.models import models
from facesearch.errors import UsageError, WeightsError
from facesearch.runtimes.graphs import DRAWINGS, Drawing

NAME = "facenet-128"
MADE = (
    "made for ONNX Runtime: facenet-128 (float32), facenet-128 (int8), mtcnn-pnet (float32), "
    "mtcnn-rnet (float32), mtcnn-onet (float32)\n"
)


@pytest.fixture(autouse=True)
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """facenet-128's weights are no network here, so its graphs are a few bytes."""
    monkeypatch.setitem(DRAWINGS, NAME, Drawing(drawn, ("float32", "int8"), "face"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(models, list(arguments))


def rows(result: Result) -> dict[str, dict[str, Any]]:
    shown = json.loads(result.stdout)
    assert shown["schema"] == 1
    return {row["name"]: row for row in shown["models"]}


def test_list_says_what_is_here(archive: Path, cache: Path) -> None:
    before = rows(run("list", "--json"))
    assert before[NAME]["state"] == "missing"
    assert before[NAME]["dim"] == 128
    assert before["mtcnn-onet"]["state"] == "present"
    weights.pull(NAME, source=archive)
    assert rows(run("list", "--json"))[NAME]["state"] == "present"
    shown = run("list").stdout.splitlines()
    lines = [line for line in shown if not line.startswith(" ")]
    assert len(lines) == len(before) == 10
    assert lines[0].split()[:2] == [NAME, "present"]
    assert str(cache / "models" / "facenet-128.h5") in lines[0]
    assert lines[1].split()[:2] == ["facenet-512", "missing"]
    assert shown[2].split() == ["int8", "missing", str(cache / "models" / "facenet-128.int8.onnx")]
    assert len(shown) == 10 + 6


def test_list_and_verify_tell_of_graphs(archive: Path, cache: Path) -> None:
    graph = cache / "models" / "facenet-128.int8.onnx"
    row = {
        "precision": "int8",
        "path": str(graph),
        "state": "missing",
        "sha256": sha256(drawn("int8")),
    }
    before = rows(run("list", "--json"))
    assert before["vgg16"]["graphs"] == []
    assert [made["precision"] for made in before[NAME]["graphs"]] == ["float32", "int8"]
    assert before[NAME]["graphs"][1] == row
    assert before["facenet-512"]["graphs"][0]["sha256"] is None

    assert run("pull", "--from", str(archive)).exit_code == 0
    for command in ("list", "verify"):
        assert rows(run(command, "--json"))[NAME]["graphs"][1] == {**row, "state": "present"}


def test_pull_draws_for_every_face_model_and_verify_forgives_a_missing_graph(
    archive: Path, cache: Path
) -> None:
    result = run("pull", "mtcnn-pnet")
    assert result.stderr.startswith("made for ONNX Runtime: mtcnn-pnet (float32), mtcnn-rnet")
    assert run("pull", "mtcnn-pnet").stderr == ""
    assert run("verify", "mtcnn-onet").exit_code == 0
    (cache / "models" / "mtcnn-onet.float32.onnx").unlink()
    assert run("verify", "mtcnn-onet").exit_code == 0


def test_verify_finds_a_damaged_graph_and_pull_mends_it(archive: Path, cache: Path) -> None:
    run("pull", "--from", str(archive))
    broken = [cache / "models" / f"{name}.onnx" for name in (f"{NAME}.int8", "mtcnn-rnet.float32")]
    right = [path.read_bytes() for path in broken]
    for path, data in zip(broken, right, strict=True):
        path.write_bytes(data[:-1] + b"?")

    result = run("verify", "--json")
    assert rows(result)[NAME]["state"] == "present"
    assert rows(result)[NAME]["graphs"][1]["state"] == "damaged"
    assert isinstance(result.exception, WeightsError)
    assert str(result.exception) == (
        f"the int8 graph of {NAME} is damaged ({broken[0]}), "
        f"the float32 graph of mtcnn-rnet is damaged ({broken[1]}); "
        f"run: facesearch models pull {NAME} && facesearch models pull mtcnn-rnet"
    )
    assert rows(run("list", "--json"))[NAME]["graphs"][1]["state"] == "present"  # not hashed

    mended = run("pull")
    assert mended.stderr == ("made for ONNX Runtime: facenet-128 (int8), mtcnn-rnet (float32)\n")
    assert [path.read_bytes() for path in broken] == right
    assert run("verify").exit_code == 0


def test_pull_shows_a_bar_on_standard_error_alone(index: Index, cache: Path) -> None:
    result = run("pull")
    assert result.exit_code == 0
    assert result.stdout == f"{NAME} {cache / 'models' / 'facenet-128.h5'}\n"
    assert f"{FILE}: 100%" in result.stderr
    assert result.stderr.endswith(MADE)
    again = run("pull", NAME)
    assert again.stdout == result.stdout
    assert again.stderr == ""
    assert index.downloads == 1


def test_pull_from_a_file_finds_out_which_model_it_is(
    archive: Path, cache: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "some file"
    bare.write_bytes(WEIGHTS)
    assert rows(run("pull", "--from", str(bare), "--json"))[NAME]["state"] == "present"
    weights.path_of(NAME).unlink()
    assert rows(run("pull", "--from", str(archive), "--json"))[NAME]["state"] == "present"


def test_pull_of_several_from_one_file_is_a_usage_error(archive: Path, cache: Path) -> None:
    error = run("pull", NAME, "facenet-512", "--from", str(archive)).exception
    assert isinstance(error, UsageError)


def test_pull_of_an_unknown_name(cache: Path) -> None:
    error = run("pull", "resnet").exception
    assert isinstance(error, UsageError)
    assert NAME in str(error)


def test_verify_names_what_is_damaged(archive: Path, cache: Path) -> None:
    assert run("verify").exit_code == 0  # What is not here is not damaged.
    path = weights.pull(NAME, source=archive)
    assert rows(run("verify", NAME, "--json"))[NAME]["state"] == "present"
    path.write_bytes(WEIGHTS[:-1] + b"?")
    result = run("verify", "--json")
    assert rows(result)[NAME]["state"] == "damaged"
    assert isinstance(result.exception, WeightsError)
    assert result.exit_code == 1
    assert str(result.exception) == (
        f"{NAME} is damaged ({path}); run: facesearch models pull {NAME}"
    )


def test_verify_of_a_named_missing_model_fails(cache: Path) -> None:
    result = run("verify", "facenet-512")
    assert isinstance(result.exception, WeightsError)
    assert "facenet-512 is missing" in str(result.exception)


@pytest.mark.parametrize("command", ["list", "pull", "verify"])
def test_help_is_there(command: str) -> None:
    assert "--json" in run(command, "--help").stdout
