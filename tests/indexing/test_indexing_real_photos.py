"""Indexing with the real networks on Labeled Faces in the Wild."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facesearch.index_options import DEFAULT_MAX_PIXELS, DEFAULT_MODEL, default_recipe
from facesearch.processing import PhotoTask, Pipeline, ProcessSpec
from facesearch.records import PhotoResult
from facesearch.runtimes import RuntimeOptions
from facesearch.store import Store, check_store

pytestmark = [pytest.mark.weights, pytest.mark.lfw]

FULL = bool(os.environ.get("FACESEARCH_FULL"))


@pytest.fixture(scope="module")
def pipeline(weights: Path) -> Pipeline:
    """The default recipe's networks, on one thread as in a worker."""
    return ProcessSpec(default_recipe(DEFAULT_MODEL), DEFAULT_MAX_PIXELS, RuntimeOptions())()


@pytest.fixture(scope="module")
def photos(lfw: Path) -> list[Path]:
    """Photos spread over the whole set: 500 in a full run, else 60."""
    found = sorted(lfw.glob("*/*.jpg"))
    return found[:: len(found) // (500 if FULL else 60)]


def link_photos(photos: list[Path], folder: Path) -> None:
    for photo in photos:
        (folder / photo.parent.name).mkdir(parents=True, exist_ok=True)
        (folder / photo.parent.name / photo.name).symlink_to(photo)


def index(folder: Path, store: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "facesearch", "index", str(folder), "--store", str(store)]
    return [*command, "--offline", "--json", *options]


def same_rows(first: np.ndarray, second: np.ndarray) -> None:
    """Rows equal but for the order in which a processor adds: 99.9 % within 1e-5."""
    distances = np.abs(first - second).max(axis=1)
    assert np.mean(distances <= 1e-5) >= 0.999
    assert (first * second).sum(axis=1).min() >= 0.999


@pytest.mark.timeout(1200)
def test_a_photo_alone_is_as_in_company(pipeline: Pipeline, photos: list[Path]) -> None:
    tasks = [PhotoTask(number, str(photo)) for number, photo in enumerate(photos)]
    alone = [pipeline.process([task])[0] for task in tasks]
    shuffled = random.Random(1).sample(tasks, len(tasks))
    together: dict[int, PhotoResult] = {}
    for start in range(0, len(shuffled), 16):
        batch = shuffled[start : start + 16]
        together.update(zip((t.number for t in batch), pipeline.process(batch), strict=True))
    for task, result in zip(tasks, alone, strict=True):
        assert result.faces == together[task.number].faces
    same_rows(
        np.concatenate([result.embeddings for result in alone]),
        np.concatenate([together[task.number].embeddings for task in tasks]),
    )


@pytest.mark.timeout(1200)
def test_the_number_of_workers_changes_nothing(
    photos: list[Path], tmp_path: Path, weights: Path
) -> None:
    link_photos(photos, tmp_path / "photos")
    stores = []
    for jobs in ("1", "2"):
        path = tmp_path / f"{jobs}.npz"
        done = subprocess.run(
            index(tmp_path / "photos", path, "--jobs", jobs),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout)["seen"] == len(photos)
        stores.append(Store.open(path))
    one, two = stores
    assert len(one.faces) >= len(photos)
    assert np.array_equal(one.faces.box, two.faces.box)
    assert np.array_equal(one.contents.hash, two.contents.hash)
    same_rows(np.concatenate(one.rows), np.concatenate(two.rows))


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_killed_at_twenty_moments_it_ends_as_if_it_was_not(
    lfw: Path, tmp_path: Path, weights: Path
) -> None:
    link_photos(sorted(lfw.glob("*/*.jpg"))[:200], tmp_path / "photos")
    whole, killed = tmp_path / "whole.npz", tmp_path / "killed.npz"
    subprocess.run(index(tmp_path / "photos", whole), capture_output=True, check=True)
    one = Store.open(whole)
    moments = random.Random(7)
    for _ in range(20):
        for left in tmp_path.glob("killed.npz*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        run = subprocess.Popen(
            index(tmp_path / "photos", killed),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moments.uniform(1, 15))
        run.send_signal(signal.SIGKILL)
        run.wait()
        subprocess.run(index(tmp_path / "photos", killed), capture_output=True, check=True)
        two = Store.open(killed)
        assert check_store(two) == []
        assert list(one.files.paths()) == list(two.files.paths())
        assert np.array_equal(one.faces.box, two.faces.box)
        same_rows(np.concatenate(one.rows), np.concatenate(two.rows))
