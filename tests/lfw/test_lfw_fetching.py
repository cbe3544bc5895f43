"""LFW through scikit-learn's fetcher, with a stand-in for it."""

from __future__ import annotations

import json
import socket
import warnings
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import sklearn.datasets
from click.testing import CliRunner

from facesearch.cli.datasets import datasets as command
from facesearch.errors import DatasetError, UsageError
from facesearch.lfw import checking, fetch_lfw


class Fetcher:
    """Lays out a little LFW as scikit-learn does, or fails as it is told."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.timeouts: list[float | None] = []
        self.error: Exception | None = None
        self.people = ("Ann", "Bob")

    def __call__(self, **options: Any) -> None:
        self.calls.append(options)
        self.timeouts.append(socket.getdefaulttimeout())
        warnings.warn("Retry downloading from url: ...", stacklevel=1)
        if self.error is not None:
            raise self.error
        home = Path(options["data_home"]) / "lfw_home"
        for person in self.people:
            (home / "lfw" / person).mkdir(parents=True, exist_ok=True)
            (home / "lfw" / person / f"{person}_0001.jpg").write_bytes(b"jpeg")
        (home / "pairs.txt").write_text("10\t300\n")


@pytest.fixture
def fetcher(monkeypatch: pytest.MonkeyPatch) -> Fetcher:
    stand_in = Fetcher()
    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", stand_in)
    monkeypatch.setattr(checking, "lfw_people", lambda: {"Ann": 1, "Bob": 1})
    return stand_in


@pytest.fixture
def lines() -> list[str]:
    return []


def test_fetched_once_as_first_published(fetcher: Fetcher, tmp_path: Path, lines: list[str]):
    place = fetch_lfw(tmp_path, lines.append)
    assert place.folder == tmp_path / "lfw_home" / "lfw"
    assert place.pairs == tmp_path / "lfw_home" / "pairs.txt"
    assert fetcher.calls[0]["funneled"] is False
    assert lines == [f"bringing LFW to {tmp_path / 'lfw_home'}, about 200 MB; this takes minutes"]
    assert fetch_lfw(tmp_path, lines.append) == place
    assert len(fetcher.calls) == len(lines) == 1


def test_photos_placed_by_hand_only_need_their_pairs(
    fetcher: Fetcher, tmp_path: Path, lines: list[str]
):
    place = fetch_lfw(tmp_path, lines.append)
    place.pairs.unlink()
    fetch_lfw(tmp_path, lines.append)
    assert len(fetcher.calls) == 2
    assert place.pairs.exists()


def test_a_silent_network_is_not_waited_for_forever(
    fetcher: Fetcher, tmp_path: Path, lines: list[str]
):
    before = socket.getdefaulttimeout()
    fetch_lfw(tmp_path, lines.append)
    assert fetcher.timeouts[0] is not None
    assert socket.getdefaulttimeout() == before
    fetcher.error = TimeoutError("timed out")
    with pytest.raises(DatasetError, match="timed out"):
        fetch_lfw(tmp_path / "other", lines.append)
    assert socket.getdefaulttimeout() == before


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (URLError(OSError("Name or service\nnot known")), "Name or service not known"),
        (OSError("The SHA256 checksum of lfw.tgz differs"), "SHA256"),
        (IncompleteRead(b""), "IncompleteRead"),
        (EOFError(), "EOFError"),
    ],
)
def test_without_network_one_line_says_how_to_place_it(
    fetcher: Fetcher, tmp_path: Path, lines: list[str], error: Exception, why: str
):
    fetcher.error = error
    with pytest.raises(DatasetError) as caught:
        fetch_lfw(tmp_path, lines.append)
    message = str(caught.value)
    assert "\n" not in message
    assert why in message
    assert f"{tmp_path / 'lfw_home' / 'lfw'} (unpacked)" in message
    assert f"{tmp_path / 'lfw_home' / 'pairs.txt'}" in message


def test_what_a_stopped_run_left_is_not_taken_for_lfw(
    fetcher: Fetcher, tmp_path: Path, lines: list[str]
):
    fetcher.people = ("Ann",)
    with pytest.raises(DatasetError, match="not all of LFW, 1 people or photos are missing"):
        fetch_lfw(tmp_path, lines.append)
    with pytest.raises(DatasetError, match="the first is Bob; delete the folder and pull again"):
        fetch_lfw(tmp_path, lines.append)
    assert len(fetcher.calls) == 1


@pytest.mark.filterwarnings("error")
def test_the_command_prints_the_folder(fetcher: Fetcher, tmp_path: Path):
    done = CliRunner().invoke(command, ["pull", "lfw", "--to", str(tmp_path)])
    assert done.stdout == f"{tmp_path / 'lfw_home' / 'lfw'}\n"
    assert f"the pairs are in {tmp_path / 'lfw_home' / 'pairs.txt'}" in done.stderr
    done = CliRunner().invoke(command, ["pull", "lfw", "--to", str(tmp_path), "--json"])
    shown = json.loads(done.stdout)
    assert shown["path"] == str(tmp_path / "lfw_home" / "lfw")
    assert shown["pairs"] == str(tmp_path / "lfw_home" / "pairs.txt")


def test_an_archive_is_for_the_samples_alone(fetcher: Fetcher, tmp_path: Path):
    done = CliRunner().invoke(command, ["pull", "lfw", "--from", str(tmp_path / "lfw.tgz")])
    assert isinstance(done.exception, UsageError)
    assert fetcher.calls == []


def test_a_place_that_cannot_be_written(fetcher: Fetcher, tmp_path: Path, lines: list[str]):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatasetError, match=f"cannot write {tmp_path / 'file'}"):
        fetch_lfw(tmp_path / "file", lines.append)


def test_scikit_learn_takes_what_it_is_given(tmp_path: Path, lines: list[str], monkeypatch: Any):
    """Its own fetcher accepts the options and keeps to the folder, up to the network."""

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network in this test")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(DatasetError, match="no network in this test"):
        fetch_lfw(tmp_path, lines.append)
    assert [path.name for path in tmp_path.rglob("*")] == ["lfw_home"]
