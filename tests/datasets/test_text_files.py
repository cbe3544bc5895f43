"""Text files that a person names: only what has an end is read."""

import os
from pathlib import Path

import pytest

from facesearch import text_files
from facesearch.datasets import read_labels, read_pairs
from facesearch.errors import DatasetError, FacesearchError
from facesearch.report.evaluation import read_evaluation

READERS = (read_labels, read_pairs, read_evaluation)


@pytest.fixture
def fifo(tmp_path) -> Path:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    os.mkfifo(tmp_path / "labels.csv")
    return tmp_path / "labels.csv"


def refused(read, path: Path) -> str:
    with pytest.raises((DatasetError, FacesearchError)) as caught:
        read(path)
    (line,) = str(caught.value).splitlines()
    assert str(path) in line
    return line


@pytest.mark.timeout(20)
@pytest.mark.parametrize("read", READERS)
def test_a_pipe_without_a_writer_is_not_waited_for(read, fifo):
    assert "not a regular file" in refused(read, fifo)


@pytest.mark.timeout(20)
@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
@pytest.mark.parametrize("read", READERS)
def test_a_device_without_an_end_is_not_read(read):
    assert "not a regular file" in refused(read, Path("/dev/zero"))


@pytest.mark.parametrize("read", READERS)
def test_a_folder_is_refused(read, tmp_path):
    assert "not a regular file" in refused(read, tmp_path)


@pytest.mark.parametrize("read", READERS)
def test_what_is_too_large_is_refused_with_the_bound(read, tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "MOST_BYTES", 2 << 20)
    with (tmp_path / "labels.csv").open("wb") as file:
        file.truncate((2 << 20) + 1)
    assert "larger than 2 MiB" in refused(read, tmp_path / "labels.csv")


def test_line_ends_within_quotes_and_a_mark_of_the_encoding_are_kept_apart(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b'\xef\xbb\xbfpath,name\r\na.jpg,"Ann\r\nBlue"\r\nb.jpg,Bo\r\n')
    assert {key: label.name for key, label in read_labels(path).items()} == {
        "a.jpg": "Ann\r\nBlue",
        "b.jpg": "Bo",
    }
