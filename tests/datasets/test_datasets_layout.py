from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch import datasets
from facesearch.errors import DatasetError

PAIRS = "2\t1\nAnn\t1\t4\nAnn\t1\tBob\t2\nCy\t2\t3\nBob\t3\tCy\t10\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_pairs_in_order_with_folds_and_kinds(tmp_path: Path) -> None:
    pairs = datasets.read_pairs(write(tmp_path / "pairs.txt", PAIRS))
    assert [(pair.fold, pair.same) for pair in pairs] == [
        (0, True),
        (0, False),
        (1, True),
        (1, False),
    ]
    assert pairs[0].first == datasets.LfwPhoto("Ann", 1)
    assert pairs[3].second.path(Path("lfw")) == Path("lfw/Cy/Cy_0010.jpg")


def test_a_lone_count_is_one_fold(tmp_path: Path) -> None:
    text = "2\nA 1 2\nB 1 2\nA 1 B 1\nA 2 B 2\n\n"
    pairs = datasets.read_pairs(write(tmp_path / "pairs.txt", text))
    assert [pair.same for pair in pairs] == [True, True, False, False]
    assert {pair.fold for pair in pairs} == {0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the number of folds"),
        ("ten 300\n", "line 1: expected the number of folds"),
        ("0 3\n", "line 1"),
        ("2 1\nAnn 1 4\n", "1 pairs where line 1 promises 4"),
        (PAIRS + "Ann 1 2\n", "5 pairs where line 1 promises 4"),
        (PAIRS.replace("Ann\t1\t4", "Ann\t1"), "line 2: expected name i j"),
        (PAIRS.replace("Bob\t2", "Ann\t2"), "line 3: expected name i name j"),
        (PAIRS.replace("Ann\t1\tBob\t2", "Ann\t1\t2"), "line 3: expected name i name j"),
        (PAIRS.replace("Cy\t2\t3", "Cy\t2\tthree"), "line 4: photos count from 1"),
        (PAIRS.replace("Bob\t3", "Bob\t0"), "line 5: photos count from 1"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "pairs.txt", text)
    with pytest.raises(DatasetError) as caught:
        datasets.read_pairs(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_pairs_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "pairs.txt"
    path.write_bytes(data)
    try:
        pairs = datasets.read_pairs(path)
    except DatasetError:
        return
    assert all(pair.first.number > 0 and pair.second.number > 0 for pair in pairs)


def test_a_missing_pairs_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone\.txt"):
        datasets.read_pairs(tmp_path / "gone.txt")


def test_people_are_folders_with_photos(tmp_path: Path) -> None:
    for name in ("Bob/Bob_0002.jpg", "Bob/Bob_0001.JPG", "Ann/Ann_0001.png", "Bob/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("empty", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / ".hidden" / "x.jpg").touch()
    (tmp_path / "Bob" / "._Bob_0001.jpg").touch()
    (tmp_path / "loose.jpg").touch()
    found = datasets.people(tmp_path)
    assert list(found) == ["Ann", "Bob"]
    assert [path.name for path in found["Bob"]] == ["Bob_0001.JPG", "Bob_0002.jpg"]
    assert {datasets.identity_of(path) for path in found["Bob"]} == {"Bob"}


@pytest.mark.parametrize("make", [True, False])
def test_nobody_is_an_error_that_names_the_folder(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "lfw"
    if make:
        folder.mkdir()
    with pytest.raises(DatasetError, match=str(folder)):
        datasets.people(folder)


@pytest.mark.lfw
def test_all_of_lfw(lfw: Path) -> None:
    found = datasets.people(lfw)
    assert len(found) == 5749
    assert sum(len(photos) for photos in found.values()) == 13_233
    assert sum(len(photos) == 6 for photos in found.values()) == 55
    pairs = datasets.read_pairs(lfw.parent / "lfw_pairs.txt")
    assert len(pairs) == 6000
    assert sum(pair.same for pair in pairs) == 3000
    assert {sum(pair.fold == fold for pair in pairs) for fold in range(10)} == {600}
    assert all(photo.path(lfw).is_file() for pair in pairs for photo in (pair.first, pair.second))
