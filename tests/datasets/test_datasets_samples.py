from __future__ import annotations

import json
import os
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from facesearch import datasets, weights
from facesearch.cli.datasets import datasets as command
from facesearch.errors import DatasetError, UsageError

PHOTOS = {
    "train/ann/httpz.jpg": b"third",
    "train/ann/httpa.jpg": b"first",
    "train/bob/http.jpg": b"bob",
    "val/ann/http.jpg": b"asked",
}


def zipped(path: Path, photos: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as out:
        for name, data in photos.items():
            out.writestr(name, data)
    return path


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four photos in place of the sample photos, kept as a pull keeps them."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "SAMPLE_COUNTS", {"train": 3, "val": 1})
    monkeypatch.setattr(datasets, "SAMPLES_SHA256", datasets._digest(PHOTOS))
    return zipped(weights.samples_path(), PHOTOS)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


LAID_OUT = {
    "train/ann/ann_0001.jpg": b"first",
    "train/ann/ann_0002.jpg": b"third",
    "train/bob/bob_0001.jpg": b"bob",
    "val/ann/ann_0003.jpg": b"asked",
}


def test_laid_out_and_numbered(archive: Path, tmp_path: Path) -> None:
    folder = datasets.unpack_samples(archive, tmp_path / "new" / "samples")
    assert contents(folder) == LAID_OUT
    assert names(folder.parent) == ["samples"]
    assert list(datasets.sample_people(folder, "train")) == ["ann", "bob"]
    assert [path.name for path in datasets.sample_people(folder, "val")["ann"]] == ["ann_0003.jpg"]


def test_again_changes_nothing(archive: Path, tmp_path: Path) -> None:
    folder = datasets.unpack_samples(archive, tmp_path / "samples")
    (folder / "mine.jpg").write_bytes(b"mine")
    inode = (folder / "train").stat().st_ino
    assert datasets.unpack_samples(archive, folder) == folder
    assert (folder / "train").stat().st_ino == inode
    assert (folder / "mine.jpg").read_bytes() == b"mine"


def test_an_empty_folder_is_filled_and_a_full_one_left_alone(archive: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert contents(datasets.unpack_samples(archive, empty)) == LAID_OUT
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(DatasetError, match=f"{taken} is there"):
        datasets.unpack_samples(archive, taken)
    assert contents(taken) == {"mine.jpg": b"mine"}


@pytest.mark.parametrize(
    "photos",
    [
        {**PHOTOS, "train/ann/httpa.jpg": b"other"},
        {name: data for name, data in PHOTOS.items() if "bob" not in name},
        {**PHOTOS, "train/../../../escaped.jpg": b"outside"},
        {**PHOTOS, "/tmp/escaped.jpg": b"outside"},
    ],
)
def test_other_photos_are_refused(archive: Path, tmp_path: Path, photos: dict[str, bytes]) -> None:
    other = zipped(tmp_path / "other.zip", photos)
    with pytest.raises(DatasetError, match=f"{other}: not the 4 sample photos"):
        datasets.unpack_samples(other, tmp_path / "samples")
    assert names(tmp_path) == ["cache", "other.zip"]


def test_names_that_lead_elsewhere_are_refused_even_if_known(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = {**PHOTOS, "val/../../escaped.jpg": b"outside"}
    monkeypatch.setattr(datasets, "SAMPLES_SHA256", datasets._digest(photos))
    monkeypatch.setattr(datasets, "SAMPLE_COUNTS", {"train": 3, "val": 2})
    other = zipped(tmp_path / "other.zip", photos)
    with pytest.raises(DatasetError, match="not the 5 sample photos"):
        datasets.unpack_samples(other, tmp_path / "deep" / "samples")


def test_an_archive_that_is_none(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(b"not a zip")
    with pytest.raises(DatasetError, match=f"cannot read {archive}"):
        datasets.unpack_samples(archive, tmp_path / "samples")


def test_a_failed_write_leaves_nothing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(DatasetError, match=f"cannot write {tmp_path}/samples: No space left"):
        datasets.unpack_samples(archive, tmp_path / "samples")
    assert names(tmp_path) == ["cache"]


def test_several_at_once_end_with_one_whole_folder(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: datasets.unpack_samples(archive, folder), range(8)))
    assert done == [folder] * 8
    assert contents(folder) == LAID_OUT
    assert names(tmp_path) == ["cache", "samples"]


def test_a_run_that_was_overtaken_is_content(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = datasets.unpack_samples(archive, tmp_path / "ready")
    target = tmp_path / "samples"

    def overtaken(_folder: Path) -> None:
        shutil.copytree(folder, target)

    monkeypatch.setattr(datasets, "_clear_stale", overtaken)
    assert datasets.unpack_samples(archive, target) == target
    assert contents(target) == LAID_OUT


def test_leftovers_of_a_killed_run_go_when_old(archive: Path, tmp_path: Path) -> None:
    old, fresh = tmp_path / ".samples.old.part", tmp_path / ".samples.new.part"
    for folder in (old, fresh):
        folder.mkdir()
    os.utime(old, (1, 1))
    datasets.unpack_samples(archive, tmp_path / "samples")
    assert not old.exists()
    assert fresh.exists()


def test_pull_prints_the_folder(archive: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["pull", "samples"])
    assert result.stdout == f"{tmp_path / 'cache' / 'datasets' / 'samples'}\n"
    assert contents(Path(result.stdout.strip())) == LAID_OUT
    chosen = CliRunner().invoke(
        command, ["pull", "samples", "--to", str(tmp_path / "here"), "--json"]
    )
    shown = json.loads(chosen.stdout)
    assert contents(Path(shown["path"])) == LAID_OUT


def test_an_unknown_data_set(archive: Path) -> None:
    unknown = CliRunner().invoke(command, ["pull", "faces"]).exception
    assert isinstance(unknown, UsageError)
    assert "samples, lfw" in str(unknown)


def test_list(archive: Path) -> None:
    text = CliRunner().invoke(command, ["list"]).stdout
    assert "13,233 photos, 5,749 people" in text
    assert "facesearch datasets pull samples" in text
    assert "facesearch datasets pull lfw" in text
    rows = json.loads(CliRunner().invoke(command, ["list", "--json"]).stdout)["datasets"]
    assert [row["name"] for row in rows] == ["samples", "lfw"]


@pytest.mark.weights
def test_the_real_sample_photos(tmp_path: Path) -> None:
    if not weights.samples_path().is_file():
        pytest.skip("run: facesearch datasets pull samples")
    folder = datasets.unpack_samples(weights.samples_path(), tmp_path / "samples")
    for part, count in datasets.SAMPLE_COUNTS.items():
        found = datasets.sample_people(folder, "train" if part == "train" else "val")
        assert len(found) == 5
        assert sum(len(photos) for photos in found.values()) == count
