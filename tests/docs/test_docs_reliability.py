"""The table of docs/reliability.md is that of the counts."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_is_as_counted():
    path = ROOT / "scripts" / "draw_reliability.py"
    spec = importlib.util.spec_from_file_location("draw_reliability", path)
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    page = drawing.PAGE.read_text(encoding="utf-8")
    assert page == drawing.drawn(page), "run: python scripts/draw_reliability.py"
