"""A folder as a reader of the documentation would have it, and a shell in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from facesearch.weights import home
from group_photo import side_by_side

Shell = Callable[[str], subprocess.CompletedProcess[str]]
PEOPLE = ("ben_afflek", "elton_john", "madonna", "mindy_kaling")


@pytest.fixture
def reader_folder(tmp_path: Path, samples: Path) -> Path:
    """``lfw/`` with four people, some photos, a home folder with ``Pictures``."""
    folder = tmp_path / "reader"
    for person in PEOPLE:
        _copy(sorted((samples / "train" / person).iterdir())[:3], folder / "lfw" / person)
    asked = [next(iter(sorted((samples / "val" / person).iterdir()))) for person in PEOPLE]
    _copy(asked[:2], tmp_path / "home" / "Pictures")
    for name, photo in zip(("photo.jpg", "grandma.jpg", "holiday.jpg"), asked[1:], strict=True):
        shutil.copy(photo, folder / name)
    side_by_side(asked[1:3], folder / "family.jpg")
    Image.linear_gradient("L").convert("RGB").save(folder / "landscape.jpg")
    return folder


@pytest.fixture
def shell(reader_folder: Path, tmp_path: Path) -> Shell:
    """Runs one line in a real shell, with the venv's programs, weights at hand and no input."""
    cache = tmp_path / "cache"
    (cache / "datasets").mkdir(parents=True)
    (cache / "models").symlink_to(home() / "models")
    (cache / "datasets" / "samples.zip").symlink_to(home() / "datasets" / "samples.zip")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "FACESEARCH_HOME": str(cache),
    }
    for name in ("FACESEARCH_STORE", "FACESEARCH_NO_SETTINGS", "XDG_CONFIG_HOME"):
        environment.pop(name, None)

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=reader_folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


def _copy(photos: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for photo in photos:
        shutil.copy(photo, folder)
