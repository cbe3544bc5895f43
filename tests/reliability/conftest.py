"""Faults and bad input, in numbers: a seeded sample of each row, all of it with ``--full``."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

KEPT = Path(__file__).resolve().parents[2] / "docs" / "reliability.json"
FULL = bool(os.environ.get("FACESEARCH_FULL"))

HowMany = Callable[[int, int], int]
Record = Callable[[str, Mapping[str, int]], None]


@pytest.fixture
def how_many() -> HowMany:
    """How many to try, of (a sample, all)."""
    return lambda sample, everything: everything if FULL else sample


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Keeps a row of ``docs/reliability.json``, when all of it was tried: what was done, and how
    often it came out how.
    """

    def keep(what: str, outcomes: Mapping[str, int]) -> None:
        assert sum(outcomes.values()) > 0, what
        if not FULL:
            return
        rows = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
        test = request.node.nodeid
        rows[what] = {
            "tried": sum(outcomes.values()),
            "outcomes": dict(Counter(outcomes).most_common()),
            "command": f"scripts/test --full -- {test.partition('[')[0]}",
        }
        KEPT.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    return keep
