from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_index import FILE, WEIGHTS, Index

from facesearch import weights
from facesearch.cli.models import models
from facesearch.errors import UsageError, WeightsError

NAME = "facenet-128"


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
    lines = run("list").stdout.splitlines()
    assert len(lines) == len(before) == 10
    assert lines[0].split()[:2] == [NAME, "present"]
    assert str(cache / "models" / "facenet-128.h5") in lines[0]
    assert lines[1].split()[:2] == ["facenet-512", "missing"]


def test_pull_shows_a_bar_on_standard_error_alone(index: Index, cache: Path) -> None:
    result = run("pull")
    assert result.exit_code == 0
    assert result.stdout == f"{NAME} {cache / 'models' / 'facenet-128.h5'}\n"
    assert f"{FILE}: 100%" in result.stderr
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
