"""What a folder is said to hold and to lack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from facesearch.cli.datasets import datasets as command
from facesearch.errors import DatasetError
from facesearch.lfw import check_folder, checking
from facesearch.lfw.checking import lfw_people


@pytest.fixture
def small_lfw(monkeypatch: pytest.MonkeyPatch) -> None:
    """LFW as if it were three people."""
    monkeypatch.setattr(checking, "lfw_people", lambda: {"Ann": 2, "Bob": 1, "Cy": 3})


def write(folder: Path, *names: str, data: bytes = b"jpeg") -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


WHOLE = ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", "Bob/Bob_0001.jpg",
         *(f"Cy/Cy_000{n}.jpg" for n in (1, 2, 3)))  # fmt: skip


def test_the_list_is_that_of_lfw():
    known = lfw_people()
    assert len(known) == 5_749
    assert sum(known.values()) == 13_233
    assert sum(photos == 6 for photos in known.values()) == 55
    assert known["George_W_Bush"] == 530
    assert list(known) == sorted(known)


def test_all_of_it(small_lfw: None, tmp_path: Path):
    found = check_folder(write(tmp_path, *WHOLE))
    assert (found.photos, found.people, found.loose, found.empty) == (6, 3, 0, ())
    assert found.lfw is not None
    assert found.lfw.complete
    assert found.lfw.original is None  # the photo that tells is not there


def test_what_is_missing_and_extra_is_named(small_lfw: None, tmp_path: Path):
    write(tmp_path, "Ann/Ann_0002.jpg", "Cy/Cy_0001.jpg", "Cy/Cy_0003.jpg", "Cy/Cy_0007.jpg")
    write(tmp_path, "Dee/Dee_0001.jpg", "loose.jpg", "notes.txt", ".hidden/x.jpg")
    write(tmp_path, "Cy/Cy_0002.jpg", "Cy/Cy_0008.jpg", data=b"")
    found = check_folder(tmp_path)
    assert (found.photos, found.people, found.loose) == (7, 3, 1)
    assert found.empty == ("Cy/Cy_0002.jpg", "Cy/Cy_0008.jpg")
    assert found.lfw is not None
    assert not found.lfw.complete
    assert found.lfw.missing_people == ("Bob",)
    assert found.lfw.missing_photos == ("Ann/Ann_0001.jpg", "Cy/Cy_0002.jpg")
    assert found.lfw.extra_people == ("Dee",)
    assert found.lfw.extra_photos == ("Cy/Cy_0007.jpg", "Cy/Cy_0008.jpg")


@pytest.mark.parametrize(("strangers", "is_lfw"), [(2, True), (3, False)])
def test_half_of_the_people_make_it_lfw(
    small_lfw: None, tmp_path: Path, strangers: int, is_lfw: bool
):
    write(tmp_path, "Ann/a.jpg", "Bob/b.jpg", *(f"P{n}/p.jpg" for n in range(strangers)))
    assert (check_folder(tmp_path).lfw is not None) == is_lfw
    assert check_folder(tmp_path, as_lfw=True).lfw is not None
    assert check_folder(tmp_path, as_lfw=False).lfw is None


def test_other_versions_of_the_photos_show(small_lfw: None, tmp_path: Path):
    write(tmp_path, *WHOLE, "Aaron_Eckhart/Aaron_Eckhart_0001.jpg")
    found = check_folder(tmp_path)
    assert found.lfw is not None
    assert found.lfw.original is False
    done = CliRunner().invoke(command, ["check", str(tmp_path)])
    assert "not the photos as first published" in done.stdout


def test_a_folder_of_nobody(tmp_path: Path):
    with pytest.raises(DatasetError, match=str(tmp_path)):
        check_folder(tmp_path)
    with pytest.raises(DatasetError, match="gone"):
        check_folder(tmp_path / "gone")


def test_the_command_ends_with_1_where_something_is_missing(small_lfw: None, tmp_path: Path):
    write(tmp_path, *WHOLE)
    done = CliRunner().invoke(command, ["check", str(tmp_path)])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{tmp_path}: 6 photos of 3 people",
        "all of LFW is there",
    ]
    (tmp_path / "Cy" / "Cy_0002.jpg").unlink()
    done = CliRunner().invoke(command, ["check", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1:] == ["1 further photos of LFW are missing: Cy/Cy_0002.jpg"]


def test_another_folder_is_counted_and_no_more(tmp_path: Path):
    write(tmp_path, "mum/1.jpg", "mum/2.jpg", "dad/1.jpg", "cover.jpg")
    write(tmp_path, "dad/2.jpg", data=b"")
    done = CliRunner().invoke(command, ["check", str(tmp_path)])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{tmp_path}: 4 photos of 2 people",
        "1 photos lie beside the folders of people and are not counted",
        "1 photos are empty files: dad/2.jpg",
    ]
    forced = CliRunner().invoke(command, ["check", str(tmp_path), "--as", "lfw"])
    assert forced.exit_code == 1
    assert "5,749 people of LFW are missing: AJ_Cook, " in forced.stdout
    assert "and 5,739 more (--json)" in forced.stdout


def test_json_names_everything(tmp_path: Path):
    write(tmp_path, "AJ_Cook/AJ_Cook_0001.jpg", "AJ_Lamas/other.jpg")
    done = CliRunner().invoke(command, ["check", str(tmp_path), "--json"])
    assert done.exit_code == 1
    shown = json.loads(done.stdout)
    assert shown["complete"] is False
    assert len(shown["lfw"]["missing_people"]) == 5_747
    assert shown["lfw"]["missing_photos"] == ["AJ_Lamas/AJ_Lamas_0001.jpg"]
    assert shown["lfw"]["extra_photos"] == ["AJ_Lamas/other.jpg"]
    other = CliRunner().invoke(command, ["check", str(tmp_path), "--json", "--as", "folder"])
    assert other.exit_code == 0
    assert json.loads(other.stdout)["complete"] is None


@pytest.mark.lfw
def test_the_real_photos(lfw: Path):
    found = check_folder(lfw)
    assert (found.photos, found.people, found.empty) == (13_233, 5_749, ())
    assert found.lfw is not None
    assert found.lfw.complete
    assert found.lfw.original
    assert not found.lfw.extra_people
    assert not found.lfw.extra_photos
