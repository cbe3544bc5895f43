"""Faults and bad input, in numbers: a seeded sample of each row, all of it with ``--full``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest
from counting import FULL, Piece, Rows

KEPT = Path(__file__).resolve().parents[2] / "docs" / "reliability.json"

HowMany = Callable[[int, int], int]


class Record(Protocol):
    """Keeps a row of ``docs/reliability.json``, or a piece of one, when all of it was tried: what
    was done, and how often it came out how.
    """

    def __call__(self, what: str, outcomes: Mapping[str, int], piece: Piece = ...) -> None: ...


@pytest.fixture
def how_many() -> HowMany:
    """How many to try, of (a sample, all)."""
    return lambda sample, everything: everything if FULL else sample


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Shared by all processes of a run."""
    run = tmp_path_factory.getbasetemp()
    return Rows(KEPT, run.parent if "PYTEST_XDIST_WORKER" in os.environ else run)


@pytest.fixture
def record(request: pytest.FixtureRequest, rows: Rows) -> Record:
    """See ``Record``."""

    def keep(what: str, outcomes: Mapping[str, int], piece: Piece = Piece()) -> None:  # noqa: B008
        assert sum(outcomes.values()) > 0, what
        if FULL:
            test = request.node.nodeid.partition("[")[0]
            rows.keep(what, outcomes, f"scripts/test --full -- {test}", piece)

    return keep


@pytest.fixture(scope="session")
def quick_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, where the system has one: rows that try no disk wait for none."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("quick")
        return
    import tempfile

    with tempfile.TemporaryDirectory(dir=memory, prefix="facesearch-tests-") as folder:
        yield Path(folder)
