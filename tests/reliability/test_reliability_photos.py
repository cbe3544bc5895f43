"""Broken photos of every format, read within bounds of memory and time."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from mutated_photos import mutants, samples
from photo_reader import SECONDS, Outcome, PhotoReader, outcome_of

from facesearch.records import REASONS

ALLOWED = {"read", *REASONS}


@pytest.mark.timeout(900)
def test_mutated_photos_are_read_or_refused(how_many, record) -> None:
    """Never a crash, never without end, never without bound."""
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    slowest = 0.0
    whole = {kind: outcome_of(data).pixels for kind, data in samples().items()}
    numbered = enumerate(mutants(how_many(1_000, 5_000), seed=1))
    with PhotoReader() as reader:
        while batch := list(islice(numbered, 50)):
            found = reader.read([data for _, (_, _, data) in batch])
            for (number, (kind, deed, _)), outcome in zip(batch, found, strict=True):
                outcomes[outcome.what if outcome.what in ALLOWED else "fault"] += 1
                slowest = max(slowest, outcome.seconds)
                if outcome.what not in ALLOWED or _is_other(deed, outcome, whole[kind]):
                    wrong.append(f"{number} {kind}, {deed}: {outcome.what}")
    assert wrong == []
    assert slowest < SECONDS
    assert len(outcomes) >= 5  # they are not all broken in one way
    assert outcomes["read"] >= sum(outcomes.values()) / 10
    record("Mutated photos of every format read", outcomes)


def _is_other(deed: str, outcome: Outcome, pixels: bytes) -> bool:
    """Whether a photo that only something lies behind looks different."""
    return deed == "followed by more" and outcome.what == "read" and outcome.pixels != pixels


def test_the_bounds_hold() -> None:
    """What this test is made with: a death, a wait without end and hunger are noticed."""
    with PhotoReader() as reader:
        reader._process.kill()
        first, second = reader.read([samples()["PNG"], samples()["JPEG"]])
    assert first.what == "died: -9"
    assert second.what == "read"
