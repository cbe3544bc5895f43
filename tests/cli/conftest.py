"""The program run in this process with an embedder of colours, and a small store in its folder."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from small_store import (
    BLUE,
    GOLD,
    GREEN,
    MIDDLE,
    RED,
    draw,
    embedder_of,
    enroll,
    small_calibration,
    whole_recipe,
)

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Done:
    """What a run left: exit code and what it wrote."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode("utf-8", "surrogateescape")

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


Program = Callable[..., Done]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with a home of its own and without settings."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("FACESEARCH_STORE", raising=False)
    return work


@pytest.fixture
def program(folder, monkeypatch, capfdbinary) -> Program:
    """Runs a command line. Distances between colours are not calibrated."""
    from facesearch.cli.main import run

    monkeypatch.setattr("facesearch.processing.Pipeline", embedder_of)
    monkeypatch.setattr("facesearch.calibration.find_calibration", lambda space: None)
    monkeypatch.setattr("facesearch.processing.make_ready", lambda *names: None)

    def go(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Done(code, out, err.decode())

    return go


@pytest.fixture
def child(folder, monkeypatch) -> Callable[..., list[str]]:
    """The command line that runs the program in a process of its own, whose environment is set."""
    places = [str(TESTS), str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))

    def command(*arguments: object) -> list[str]:
        return [sys.executable, str(TESTS / "color_program.py"), *map(str, arguments)]

    return command


@pytest.fixture
def photos(folder) -> Path:
    """Red, green, blue and gold, each on two photos, one with two faces, one with none."""
    place = folder / "photos"
    for name, color in {"red": RED, "green": GREEN, "blue": BLUE, "gold": GOLD}.items():
        draw(place / name / f"{name}1.png", {color: MIDDLE}, note=1)
        near = (color[0], color[1] + 2, color[2])
        draw(place / name / f"{name}2.png", {near: MIDDLE}, note=2)
    draw(place / "both.png", {(199, 0, 0): (60, 5, 30, 30), (0, 159, 0): (5, 5, 30, 30)})
    draw(place / "none.png", {})
    return place


@pytest.fixture
def store(photos, folder) -> Path:
    """``faces.npz`` of those photos."""
    enroll(folder / "faces.npz", [photos])
    return folder / "faces.npz"


@pytest.fixture
def calibrated(program, monkeypatch) -> None:
    """Distances between colours are calibrated."""
    monkeypatch.setattr("facesearch.calibration.find_calibration", small_calibration)


@pytest.fixture(params=[True, False], ids=["unit rows", "long rows"])
def whole_store(photos, folder, request) -> Path:
    """``faces.npz`` of those photos, each as a whole."""
    enroll(folder / "faces.npz", [photos], recipe_=whole_recipe(unit=request.param))
    return folder / "faces.npz"


@pytest.fixture
def red(folder) -> Path:
    """A query photo with one red face."""
    return draw(folder / "me.png", {RED: MIDDLE}, note=9)


@pytest.fixture
def crowd(folder) -> Path:
    """A query photo: green (1), red (2, large), blue (3)."""
    faces = {GREEN: (5, 2, 12, 12), RED: (40, 30, 40, 40), BLUE: (90, 80, 14, 14)}
    return draw(folder / "crowd.png", faces)


@pytest.fixture
def run_child(child) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs the program in a process of its own to its end."""

    def go(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.run(
            child(*arguments), stdin=subprocess.DEVNULL, timeout=100, check=False, **options
        )

    return go
