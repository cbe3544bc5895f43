"""The pictures of the page: hardest probes and contact sheets, tile by tile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from facesearch.report.evaluation.rows import Row, under_protocol
from facesearch.report.evaluation.thumbnails import Thumbnails
from facesearch.report.wording import count
from facesearch.results import Answer, Identification, RankedPhoto

MOST_SHEETS = 100
"""More people than these have no contact sheet on the page."""
_NO_DISTANCE = -1.0  # stands for none in an answer, as where a face was not found
_SIGNS = {"mate": "✓ ", "wrong": "✗ ", "rest": ""}


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture with its texts. ``kind`` is "probe", "mate", "wrong" (somebody else, before all
    mates were found) or "rest"; ``uri`` is None where the photo is not there any more.
    """

    kind: str
    uri: str | None
    alt: str
    place: str
    distance: str
    person: str
    path: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A probe and its neighbours."""

    title: str
    about: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Strips:
    """Strips under one heading, a system's or a person's."""

    label: str
    about: str
    strips: tuple[Strip, ...]


def count_pictures(found: Iterable[Identification]) -> int:
    """How many pictures the page will hold."""
    answers = [answer for one in found for answer in (*one.hardest, *one.sheets[:MOST_SHEETS])]
    return sum(1 + len(answer.photos) for answer in answers)


def hardest(rows: list[Row], protocol: str, thumbnails: Thumbnails) -> list[Strips]:
    """The hardest probes of each system."""
    return [
        Strips(
            row.label,
            count(len(found.hardest), "probe"),
            tuple(
                Strip(
                    named(answer.person),
                    _when_found(answer),
                    _tiles(answer, _others(found, answer), thumbnails),
                )
                for answer in found.hardest
            ),
        )
        for row, found in under_protocol(rows, protocol)
        if found.hardest
    ]


def sheets(rows: list[Row], protocol: str, thumbnails: Thumbnails) -> list[Strips]:
    """A contact sheet for each person, system below system."""
    by_person: dict[str, list[tuple[str, Answer, int]]] = {}
    for row, found in under_protocol(rows, protocol):
        for answer in found.sheets:
            entry = row.label, answer, _others(found, answer)
            by_person.setdefault(answer.person, []).append(entry)
    return [
        Strips(
            named(person),
            "; ".join(f"{label} {_found(answer, others)}" for label, answer, others in answers),
            tuple(
                Strip(label, _found(answer, others), _tiles(answer, others, thumbnails))
                for label, answer, others in answers
            ),
        )
        for person, answers in list(by_person.items())[:MOST_SHEETS]
    ]


def count_sheets(rows: list[Row], protocol: str) -> int:
    """How many people have a contact sheet in the results."""
    entries = under_protocol(rows, protocol)
    return len({answer.person for _, found in entries for answer in found.sheets})


def named(person: str) -> str:
    """A folder's name as a person's."""
    return person.replace("_", " ")


def _others(found: Identification, answer: Answer) -> int:
    """How many other photos there are of the answer's person; 0 where that is not known."""
    probes = (scores.probes for scores in found.per_person if scores.person == answer.person)
    return next(probes, 1) - 1


def _when_found(answer: Answer) -> str:
    if not answer.photos:
        return "no face found on the probe"
    if answer.first_mate is None:
        return "never found"
    return f"first found at rank {answer.first_mate:,}"


def _found(answer: Answer, others: int) -> str:
    found = sum(photo.mate for photo in answer.photos if photo.path != answer.path)
    return f"{found} of {others}" if others > 0 else f"{found} found"


def _tiles(answer: Answer, others: int, thumbnails: Thumbnails) -> tuple[Tile, ...]:
    asked = RankedPhoto(answer.path, answer.person, _NO_DISTANCE, True, answer.box)
    probe = _tile(asked, "probe", 0, thumbnails)
    return (probe, *_neighbor_tiles(answer, others, thumbnails))


def _neighbor_tiles(answer: Answer, others: int, thumbnails: Thumbnails) -> Iterator[Tile]:
    missing = others or len(answer.photos)
    neighbors = (photo for photo in answer.photos if photo.path != answer.path)
    for rank, photo in enumerate(neighbors, start=1):
        kind = "mate" if photo.mate else "wrong" if missing else "rest"
        missing -= photo.mate
        yield _tile(photo, kind, rank, thumbnails)


def _tile(photo: RankedPhoto, kind: str, rank: int, thumbnails: Thumbnails) -> Tile:
    person = named(photo.person)
    alt = f"{person}, rank {rank}" if rank else f"{person}, the probe"
    uri = thumbnails.uri(photo.path, photo.box)
    return Tile(
        kind=kind,
        uri=uri,
        alt=alt if uri else f"{alt}: the photo is not there any more",
        place=f"{_SIGNS[kind]}{rank}" if rank else kind,
        distance=f"{photo.distance:.3f}" if photo.distance > _NO_DISTANCE else "",
        person=person,
        path=photo.path,
    )
