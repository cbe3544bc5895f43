"""The picture and the table of the rooms are those that import-linter holds."""

from __future__ import annotations

import importlib.util
import re

from documents import ROOT


def _draw_rooms():
    spec = importlib.util.spec_from_file_location("draw_rooms", ROOT / "scripts" / "draw_rooms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_picture_is_up_to_date():
    draw_rooms = _draw_rooms()
    assert draw_rooms.PICTURE.read_text(encoding="utf-8") == draw_rooms.draw(), (
        "run: python scripts/draw_rooms.py"
    )


def test_architecture_describes_every_room():
    rooms = {room for layer in _draw_rooms().layers() for room in layer} | {"report"}
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    described = {room for cell in cells for room in re.findall(r"`([a-z_]+)`", cell)}
    assert described == rooms


def test_every_room_of_the_package_is_in_a_layer():
    rooms = {room for layer in _draw_rooms().layers() for room in layer} | {"report"}
    package = ROOT / "src" / "facesearch"
    found = {path.stem for path in package.glob("*.py")}
    found |= {path.parent.name for path in package.glob("*/__init__.py")}
    assert found - {"__init__", "__main__"} == rooms
