"""Which rows an evaluation has: a system, or a system searched in one of several ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from facesearch.report.wording import count
from facesearch.results import Evaluation, Identification, SystemResult

_PROTOCOLS = {"pois": "People of interest", "all-identities": "Everybody with two photos"}


@dataclass(frozen=True, slots=True)
class Row:
    """A system as it was searched. ``label`` tells rows apart. ``first``: the system's first row,
    which alone carries what does not depend on the way of searching.
    """

    label: str
    system: SystemResult
    identifications: dict[str, Identification]
    first: bool


def result_rows(evaluation: Evaluation) -> list[Row]:
    """The rows with results, in the evaluation's order."""
    done = (system for system in evaluation.systems if system.state == "done")
    return [row for system in done for row in _rows(system)]


def without_results(evaluation: Evaluation) -> list[SystemResult]:
    """Systems whose weights are missing or that failed."""
    states = {"weights missing", "failed"}
    return [system for system in evaluation.systems if system.state in states]


def untrained(evaluation: Evaluation) -> list[SystemResult]:
    """Systems that were run through with seeded random weights: no table of results holds them."""
    return [system for system in evaluation.systems if system.state == "untrained"]


def footnotes(evaluation: Evaluation) -> dict[str, int]:
    """The notes on systems with results, numbered from 1."""
    notes = dict.fromkeys(
        note for system in evaluation.systems if system.state == "done" for note in system.notes
    )
    return {note: place for place, note in enumerate(notes, start=1)}


def protocols(rows: list[Row]) -> list[str]:
    """The identification protocols that any row has, in the usual order."""
    there = dict.fromkeys(name for row in rows for name in row.identifications)
    return sorted(there, key=lambda name: name not in _PROTOCOLS)


def protocol_title(protocol: str) -> str:
    """What a protocol is called in a heading."""
    return _PROTOCOLS.get(protocol, protocol)


def under_protocol(rows: list[Row], protocol: str) -> list[tuple[Row, Identification]]:
    """The rows that have the protocol, with what was found."""
    return [(row, row.identifications[protocol]) for row in rows if protocol in row.identifications]


def dataset_line(evaluation: Evaluation) -> str:
    """What was evaluated on, in one line."""
    facts = evaluation.dataset
    people = count(facts.people, "person", "people")
    parts = [f"{count(facts.photos, 'photo')} of {people} in {facts.folder}"]
    if facts.limit is not None:
        parts.append(f"limited to {facts.limit:,}, in order of {facts.order}")
    if facts.failed:
        parts.append(f"{facts.failed:,} failed")
    parts.append(f"seed {evaluation.seed}")
    return "; ".join(parts)


def _rows(system: SystemResult) -> Iterator[Row]:
    ways: dict[tuple[bool, str], dict[str, Identification]] = {}
    for found in system.identification:
        ways.setdefault((found.expanded, found.gallery), {})[found.protocol] = found
    if not ways:
        yield Row(system.name, system, {}, first=True)
    for place, ((expanded, gallery), identifications) in enumerate(ways.items()):
        label = system.name + (" +expand" if expanded else "")
        label += "" if gallery == "central" else f" ({gallery} faces)"
        yield Row(label, system, identifications, first=place == 0)
