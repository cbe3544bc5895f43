"""What a run found for each system, kept so that the next one goes on from there."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from facesearch import private
from facesearch.evaluation.identification import ProbeScores
from facesearch.results import SystemResult

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """Each probe's own figures in one protocol, by path."""

    protocol: str
    expanded: bool
    keys: tuple[str, ...]
    person: tuple[int, ...]
    rank_1: tuple[float, ...]
    map: tuple[float, ...]

    @classmethod
    def of(cls, protocol: str, expanded: bool, scores: ProbeScores) -> ProbeRecord:
        """Plain data of a protocol's scores."""
        return cls(
            protocol,
            expanded,
            scores.keys,
            tuple(scores.person.tolist()),
            tuple(scores.rank_1.tolist()),
            tuple(scores.average_precision.tolist()),
        )


@dataclass(frozen=True, slots=True)
class SystemRecord:
    """A system's row with what comparing it needs: probes, and for each pair 1 where the call was
    right. ``identical`` are groups of files with equal bytes, ``failed`` counts unreadable photos.
    """

    result: SystemResult
    probes: tuple[ProbeRecord, ...] = ()
    right_pairs: tuple[float, ...] = ()
    identical: tuple[tuple[str, ...], ...] = ()
    failed: int = 0


def keep(home: Path, key: str, record: SystemRecord) -> None:
    """Keeps a record; that it cannot be kept is no error, it is computed again."""
    target = _place(home, key)
    try:
        private.make_folder(target.parent)
        # Plain json, for a threshold may be infinite.
        private.write_file(target, json.dumps(_adapter().dump_python(record)).encode())
    except OSError as error:
        _log.info("%s: results not kept: %s", target, error)


def load(home: Path, key: str) -> SystemRecord | None:
    """The record of that key, None where there is none that can be read."""
    from pydantic import ValidationError

    target = _place(home, key)
    try:
        kept = json.loads(target.read_text(encoding="utf-8"))
        record: SystemRecord = _adapter().validate_python(kept)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        _log.info("%s: not readable, computed again: %s", target, error)
        return None
    return record


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(SystemRecord)


def _place(home: Path, key: str) -> Path:
    return home / "results" / f"{key[:32]}.json"
