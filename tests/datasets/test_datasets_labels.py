"""Label files: whom a photo shows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.datasets import Label, identity, read_labels
from facesearch.errors import DatasetError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("header", ["", "path,name\n", "Path , NAME\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_with_and_without_header_and_mark(tmp_path: Path, header: str, encoding: str):
    path = write(tmp_path / "l.csv", f'{header}a/1.jpg,Ann Ö\n\n"b, c.png", Bob \n,\n', encoding)
    assert read_labels(path) == {"a/1.jpg": Label("Ann Ö"), "b, c.png": Label("Bob")}


def test_groups_and_several_names(tmp_path: Path):
    path = write(tmp_path / "l.csv", "path,name,group\n1,Ann;Bob,child\n2, Bob ; Cy ,\n3,Cy\n")
    assert read_labels(path) == {
        "1": Label("Ann", "child"),
        "2": Label("Bob", ""),
        "3": Label("Cy"),
    }


def test_absolute_paths_and_odd_spellings(tmp_path: Path):
    folder = tmp_path / "album"
    lines = f"{folder}/x/1.jpg,Ann\n./x//2.jpg,Bob\n/elsewhere/3.jpg,Cy\n"
    found = read_labels(write(tmp_path / "l.csv", lines), folder)
    assert list(found) == ["x/1.jpg", "x/2.jpg", "/elsewhere/3.jpg"]


def test_a_path_comes_before_a_bare_name():
    labels = {
        "x/1.jpg": Label("path"),
        "y/1": Label("path without suffix"),
        "1.jpg": Label("file name"),
        "1": Label("stem"),
    }
    assert [identity(key, labels) for key in ("x/1.jpg", "y/1.jpg", "z/1.jpg", "z/1.png")] == [
        *labels.values()
    ]
    assert identity("z/2.jpg", labels) is None
    assert identity("", labels) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no labels in it"),
        ("path,name\n", "no labels in it"),
        ("a,Ann\nb\n", "line 2: 1 columns"),
        ("a,Ann,child,x\n", "line 1: 4 columns"),
        ("path,name\na,\n", "line 2: the name is empty"),
        ("a, ;Bob\n", "line 1: the name is empty"),
        (",Ann\n", "line 1: the path is empty"),
        ("a,Ann\nb,Bob\na,Bob\n", "line 3: 'a' is named in line 1 already"),
        ("a,Ann\n./a,Ann\n", "line 2: 'a' is named in line 1 already"),
        ('a,"Ann\n', "line 1: no CSV"),
        ("a,Ann\npath,name\n" * 2, "line 3: 'a' is named in line 1 already"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, message: str):
    path = write(tmp_path / "l.csv", text)
    with pytest.raises(DatasetError) as caught:
        read_labels(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"cannot read .*gone\.csv"):
        read_labels(tmp_path / "gone.csv")
    with pytest.raises(DatasetError, match=r"cannot read .*latin\.csv"):
        read_labels(write(tmp_path / "latin.csv", "a,Jörg\n", "latin-1"))


WORD = st.text(st.characters(codec="utf-8", exclude_characters=";\0"), min_size=1)
NAMES = WORD.map(str.strip).filter(bool)
KEYS = NAMES.filter(lambda key: Path(key).as_posix() == key and key not in {".", "path", "Path"})


@given(st.dictionaries(KEYS, st.tuples(NAMES, st.text("abc")), min_size=1), st.booleans())
def test_what_is_written_as_csv_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    labels: dict[str, tuple[str, str]],
    header: bool,
):
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(("path", "name", "group"))
    writer.writerows((key, *values) for key, values in labels.items())
    path = tmp_path_factory.mktemp("labels") / "l.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    if text.getvalue().startswith("\ufeff"):
        return  # read as the mark of the file's encoding
    found = read_labels(path)
    assert found == {key: Label(*values) for key, values in labels.items()}
    for key, values in labels.items():
        assert identity(key, found) == Label(*values)


@given(st.binary(max_size=200))
def test_any_bytes_are_labels_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "l.csv"
    path.write_bytes(data)
    try:
        found = read_labels(path)
    except DatasetError as error:
        assert "\n" not in str(error)
        return
    assert found
    assert all(key and label.name for key, label in found.items())
