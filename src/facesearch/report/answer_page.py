"""``query --html``: an answer as one page that holds everything it shows."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol

from PIL import Image, ImageOps

from facesearch.errors import UsageError
from facesearch.records import (
    Box,
    Neighbor,
    Pixels,
    QueryFace,
    QueryReport,
    QueryResult,
    Shown,
)
from facesearch.report.facts import rounded
from facesearch.report.pages import data_uri, inline, template
from facesearch.report.table import coverage_line
from facesearch.report.terminal import escape
from facesearch.report.wording import about, count, large

MARK = '<meta name="generator" content="facesearch query">'
"""Near the beginning of every such file, by which it is known again."""
MOST_NEIGHBORS = 1000
"""More than these are not shown; the page says so."""
FACE_SIDE = 240
"""Longest side of a face in pixels."""
VIEW_SIDE = 1000
"""Longest side of a photo in pixels; smaller where the page would grow too large."""
_FACE_QUALITY = 70
_FACE_BYTES = 7_000
_BYTES = ((25, 40_000), (100, 30_000), (300, 18_000), (MOST_NEIGHBORS, 9_000))
"""How many bytes a photo may take where there are so many."""
_QUERY_BYTES = 90_000
_HEAD = 1024


@dataclass(frozen=True, slots=True)
class Example:
    """A photo of the query: its faces, the ``chosen`` one's number (None: the whole photo), and the
    photo's width and height in pixels of the upright original.
    """

    shown: Shown
    faces: tuple[QueryFace, ...]
    chosen: int | None
    width: int
    height: int


class AnswerPictures(Protocol):
    """Shows photos; or says in a few words why one cannot be shown."""

    def of_example(self, result: QueryResult, path: str, face: int | None) -> Example | str:
        """A photo of the query, whose ``face`` was searched for."""

    def of_neighbor(self, neighbor: Neighbor) -> Shown | str:
        """A neighbour."""


def is_answer_page(path: Path) -> bool:
    """Whether the file is a page that facesearch wrote, which it may replace."""
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(_HEAD)
    except OSError:
        return False


def require_page(target: Path) -> None:
    """Refuses a page's name before anything is done for it.

    Raises:
        UsageError: it is no name for a page, its folder is not there, or it is that of another
            file.
    """
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{target}: a page is HTML; name a file that ends in .html")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"{target}: its folder does not exist; create it, or name another")
    if (target.exists() or target.is_symlink()) and not is_answer_page(target):
        raise UsageError(f"{target}: there is a file already, no page; name another, or delete it")


def render(report: QueryReport, pictures: AnswerPictures, now: Any) -> str:
    """The page.

    Args:
        report: what was asked and found.
        pictures: shows the photos.
        now: the moment that "indexed today" is judged by.
    """
    from markupsafe import Markup

    style, script = inline("answer.css"), inline("answer.js")
    made = _Making(report, pictures)
    sections = [made.section(number, result) for number, result in enumerate(report.results, 1)]
    cards = [card for section in sections for card in section.cards]
    return str(
        template("answer.html").render(
            css=style.text,
            style_hash=style.hash,
            script=script.text,
            script_hash=script.hash,
            generator=Markup(MARK),
            title=_title(report),
            coverage=coverage_line(report.coverage, now),
            store=report.store.path,
            sections=sections,
            slider=_slider(cards),
            cuts=_cuts(cards),
            data={"cards": [card.details for card in cards], "views": made.views},
        )
    )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A picture inside the page."""

    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """A photo of the query: the whole with all faces, or one face alone."""

    picture: _Drawn
    width: int
    height: int
    faces: tuple[QueryFace, ...]
    chosen: int | None
    whole: bool
    letters: int


@dataclass(frozen=True, slots=True)
class _Card:
    """A neighbour in the grid; ``details`` is what its photo shows when it is opened."""

    number: int
    rank: int
    distance: float
    crop: _Drawn | None
    why_not: str
    first: str
    second: str
    band: str
    name: str
    more: str
    path: str | None
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Section:
    anchor: str
    title: str
    about: str
    error: str
    notes: tuple[str, ...]
    asked: tuple[_Asked, ...]
    not_shown: tuple[str, ...]
    cards: tuple[_Card, ...]
    left_out: str


class _Making:
    """Makes the sections; each photo is kept once, however often it is found."""

    def __init__(self, report: QueryReport, pictures: AnswerPictures) -> None:
        self.views: dict[str, str] = {}
        self._pictures = pictures
        self._subject = report.coverage.subject
        self._shown_queries: set[str] = set()
        self._crops: dict[str, _Drawn] = {}
        self._cards = 0
        ids = {near.id for result in report.results for near in result.neighbors[:MOST_NEIGHBORS]}
        expected = len({each.partition("-")[0] for each in ids})
        limits = (most for up_to, most in _BYTES if expected <= up_to)
        self._view_bytes = next(limits, _BYTES[-1][1])

    def section(self, number: int, result: QueryResult) -> _Section:
        examples = list(self._examples(result)) if result.error is None else []
        shown = result.neighbors[:MOST_NEIGHBORS]
        total = len(result.neighbors)
        return _Section(
            anchor=f"answer-{number}",
            title=_asked_title(result),
            about=_about(result, self._subject),
            error="" if result.error is None else result.error.message,
            notes=result.notes,
            asked=tuple(each for each in examples if isinstance(each, _Asked)),
            not_shown=tuple(each for each in examples if isinstance(each, str)),
            cards=tuple(self._card(neighbor) for neighbor in shown),
            left_out=f"the first {len(shown):,} of {total:,}" if total > len(shown) else "",
        )

    def _examples(self, result: QueryResult) -> Iterator[_Asked | str]:
        for path, face in result.query.examples:
            name = _name(path)
            example = self._pictures.of_example(result, path, face)
            if isinstance(example, str):
                yield f"{name}: not shown: {example}"
                continue
            whole = len(result.query.examples) == 1 and path not in self._shown_queries
            self._shown_queries.add(path)
            pixels = example.shown.view if whole else example.shown.crop
            alt = f"{name}: {count(len(example.faces), 'face')} boxed" if whole else f"face: {name}"
            if not example.faces:
                alt = f"the query: {name}"
            picture = _drawn(pixels, alt, _QUERY_BYTES if whole else _FACE_BYTES)
            yield _Asked(
                picture,
                example.width,
                example.height,
                example.faces,
                example.chosen,
                whole,
                max(8, round(max(example.width, example.height) * 0.035)),
            )

    def _card(self, neighbor: Neighbor) -> _Card:
        number, self._cards = self._cards, self._cards + 1
        content = neighbor.id.partition("-")[0]
        why = ""
        if neighbor.id not in self._crops or content not in self.views:
            shown = self._pictures.of_neighbor(neighbor)
            if isinstance(shown, str):
                why = shown
            else:
                self._keep(neighbor, content, shown)
        return _Card(
            number=number,
            rank=neighbor.rank,
            distance=neighbor.distance,
            crop=None if why else self._crops[neighbor.id],
            why_not=why,
            first=_nearness(neighbor),
            second=neighbor.taken[:10] if neighbor.taken else "",
            band=neighbor.band,
            name=_name(neighbor.path),
            more=f"+{len(neighbor.similar):,}" if neighbor.similar else "",
            path=_copied(neighbor.path),
            details=_details(neighbor, content, why),
        )

    def _keep(self, neighbor: Neighbor, content: str, shown: Shown) -> None:
        alt = f"rank {neighbor.rank}, {_nearness(neighbor)}: {_name(neighbor.path)}"
        square = ImageOps.fit(Image.fromarray(shown.crop), _square(shown.crop))
        self._crops[neighbor.id] = _drawn(square, alt, _FACE_BYTES)
        if content not in self.views:
            self.views[content] = _encoded(Image.fromarray(shown.view), self._view_bytes)[0]


def _square(pixels: Pixels) -> tuple[int, int]:
    side = min(FACE_SIDE, max(pixels.shape[:2]))
    return side, side


def _drawn(picture: Pixels | Image.Image, alt: str, most: int) -> _Drawn:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    uri, width, height = _encoded(image, most)
    return _Drawn(uri, escape(alt), width, height)


def _encoded(image: Image.Image, most: int) -> tuple[str, int, int]:
    """A picture in at most so many bytes, as far as that can be: made smaller until it fits."""
    for quality in (_FACE_QUALITY, 60, 55, 50, 45):
        written = io.BytesIO()
        image.save(written, format="WEBP", quality=quality, method=3)
        size = written.tell()
        if size <= most:
            break
        # Bytes grow about as the pixels do.
        scale = max(0.5, min(0.95, math.sqrt(most / size) * 0.97))
        sides = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(sides, Image.Resampling.LANCZOS)
    return data_uri("image/webp", written.getvalue()), image.width, image.height


def _title(report: QueryReport) -> str:
    found = sum(len(result.neighbors) for result in report.results)
    asked = {result.query.path for result in report.results}
    if len(asked) > 1:
        return f"{count(found, 'neighbour')} for {count(len(report.results), 'query', 'queries')}"
    if len(report.results) != 1:
        faces = count(len(report.results), "face")
        return f"{count(found, 'neighbour')} of {faces} on {_name(asked.pop())}"
    return f"{count(found, 'neighbour')} of {_asked_title(report.results[0])}"


def _asked_title(result: QueryResult) -> str:
    query = result.query
    if len(query.examples) > 1:
        return f"one person in {count(len(query.examples), 'photo')}"
    name = _name(query.path)
    if query.face is None or not query.faces:
        return name
    if query.face == 0:
        return f"the given box on {name}"
    return f"face {query.face} of {len(query.faces)} on {name}" if len(query.faces) > 1 else name


def _about(result: QueryResult, subject: str) -> str:
    if result.error is not None:
        return ""
    order = "in order of capture time" if result.by_date else "nearest first"
    searched = f"1 {subject}" if result.searched == 1 else f"{large(result.searched)} {subject}s"
    return f"{count(len(result.neighbors), 'neighbour')} among {searched}, {order}"


def _name(path: str) -> str:
    return {"-": "standard input", "": "the photo"}.get(path, PurePath(path).name or path)


def _nearness(neighbor: Neighbor) -> str:
    if neighbor.similarity is None:
        return f"distance {neighbor.distance:.3f}"
    return f"similarity {neighbor.similarity:.3f}"


def _copied(path: str) -> str | None:
    """The path where it may be copied: one that steers a terminal would, pasted there, do so."""
    return path if escape(path) == path else None


def _details(neighbor: Neighbor, content: str, why: str) -> dict[str, Any]:
    box = neighbor.box
    return {
        "rank": neighbor.rank,
        "nearness": _nearness(neighbor),
        "band": neighbor.band,
        "view": content,
        "why": why,
        "size": [max(1, neighbor.width), max(1, neighbor.height)],
        "box": None if box is None else _sides(box),
        "name": escape(_name(neighbor.path)),
        "path": escape(neighbor.path),
        "copied": _copied(neighbor.path),
        "facts": [[name, escape(value)] for name, value in _facts(neighbor)],
        "also": [escape(path) for path in neighbor.also],
        "similar": [escape(other.path) for other in neighbor.similar],
        "distance": rounded(neighbor.distance, 6),
        "similarity": rounded(neighbor.similarity, 4),
    }


def _sides(box: Box) -> list[float | None]:
    return [rounded(side, 1) for side in (box.x, box.y, box.width, box.height)]


def _facts(neighbor: Neighbor) -> Iterator[tuple[str, str]]:
    yield "distance", f"{neighbor.distance:.3f}"
    if neighbor.similarity is not None:
        yield "similarity", f"{neighbor.similarity:.3f}"
    if neighbor.probability is not None:
        yield "probability", f"{100 * neighbor.probability:.0f} %"
    if neighbor.expected_false_matches is not None:
        yield "false matches up to here", f"about {about(neighbor.expected_false_matches)}"
    if neighbor.face is not None:
        yield "face", str(neighbor.face)
    if neighbor.taken:
        yield "taken", neighbor.taken.replace("T", " ")
    yield "pixels", f"{neighbor.width} × {neighbor.height}"


def _slider(cards: Sequence[_Card]) -> dict[str, float] | None:
    """From where to where the threshold goes, in hundredths of a distance."""
    if not cards:
        return None
    # In millionths first: 1.1 * 100 is more than 110.
    hundredths = [round(card.distance * 100, 4) for card in cards]
    low, high = math.floor(min(hundredths)), math.ceil(max(hundredths))
    return {"low": low / 100, "high": max(low + 1, high) / 100}


def _cuts(cards: Sequence[_Card]) -> list[tuple[str, float]]:
    """What a click shows alone: the bands that occur, each with the farthest distance in it."""
    if not any(card.band for card in cards):
        return []
    found: list[tuple[str, float]] = []
    farthest = 0.0
    for band in ("likely", "possible"):
        own = [card.distance for card in cards if card.band == band]
        if own:
            farthest = max(farthest, *own)
            found.append((band if band == "likely" else "likely and possible", farthest))
    return found
