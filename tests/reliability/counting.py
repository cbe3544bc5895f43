"""Counted outcomes of each row, of which several processes may each try a piece."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

FULL = bool(os.environ.get("FACESEARCH_FULL"))
"""Whether all of each row is tried, and counted, instead of a sample."""


@dataclass(frozen=True)
class Piece:
    """The part ``number`` of ``count`` parts of a row."""

    number: int = 0
    count: int = 1

    def of(self, tries: int) -> range:
        """Which of all tries are this piece's."""
        return range(tries * self.number // self.count, tries * (self.number + 1) // self.count)

    def __str__(self) -> str:
        return f"{self.number + 1} of {self.count}"


def pieces(count: int) -> list[Piece]:
    """Parts of a row that run beside each other; a sample is one part."""
    return [Piece(number, count) for number in range(count)] if FULL else [Piece()]


@dataclass(frozen=True)
class Rows:
    """The file of all rows, and the folder of one run of the tests.

    A row of several pieces is written when the run has all of them: pieces of another run, which
    may have tried other code, are never added to it, and one that is tried again replaces itself.
    """

    kept: Path
    run: Path

    def keep(self, what: str, outcomes: Mapping[str, int], command: str, piece: Piece) -> None:
        """A piece's outcomes, and the row with its last one."""
        with self._lock(self.run / "rows"):
            whole = self._whole(what, outcomes, piece)
        if whole is None:
            return
        row = {
            "tried": sum(whole.values()),
            "outcomes": dict(Counter(whole).most_common()),
            "command": command,
        }
        with self._lock(self.kept):
            rows = self._read(self.kept)
            _write(self.kept, json.dumps({**rows, what: row}, indent=1, sort_keys=True) + "\n")

    def _whole(self, what: str, outcomes: Mapping[str, int], piece: Piece) -> Counter[str] | None:
        if piece.count == 1:
            return Counter(outcomes)
        path = self.run / f"row-{hashlib.sha256(what.encode()).hexdigest()[:16]}.json"
        parts = {**self._read(path), str(piece): dict(outcomes)}
        _write(path, json.dumps(parts))
        if len(parts) < piece.count:
            return None
        return sum((Counter(part) for part in parts.values()), Counter[str]())

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found

    @staticmethod
    def _lock(path: Path) -> FileLock:
        """Beside no file of the checkout."""
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return FileLock(Path(tempfile.gettempdir()) / f"facesearch-rows-{name}.lock")


def _write(path: Path, text: str) -> None:
    """Whole or not at all; under the lock."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
