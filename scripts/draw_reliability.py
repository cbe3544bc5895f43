"""Writes the table of docs/reliability.md from docs/reliability.json.

python scripts/draw_reliability.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
KEPT = ROOT / "docs" / "reliability.json"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"


def main() -> None:
    """Puts the table in the place of the one before."""
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def drawn(page: str) -> str:
    """The page with the table as the counts have it."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


def table() -> str:
    """A row for each fault or input."""
    rows = json.loads(KEPT.read_text(encoding="utf-8"))
    lines = ["| fault or input | tried | outcome |", "| --- | --- | --- |"]
    lines += [f"| {what} | {row['tried']:,} | {_told(row)} |" for what, row in rows.items()]
    return "\n".join(lines) + "\n"


def _told(row: dict[str, Any]) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in row["outcomes"].items())


if __name__ == "__main__":
    main()
