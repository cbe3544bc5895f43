"""``--format table``: the answer for people, in plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import NamedTuple

from facesearch.records import (
    Coverage,
    Neighbor,
    Progress,
    Query,
    QueryFace,
    QueryReport,
    QueryResult,
)
from facesearch.report.terminal import display_width, escape, pad, shorten
from facesearch.report.wording import about, count, days_ago, large, message_with_path

_OTHER_FACES_SHOWN = 6
_COPIES_SHOWN = 3
_EXAMPLES_SHOWN = 5
_EXAMPLE_WIDTH = 28
_FALSE_MATCHES_SAID = (1.0, 0.1)  # where the expected ones pass these, a line says so
_FEWEST_SAID = 0.01


def render(report: QueryReport, now: datetime) -> bytes:
    """Each query with its neighbours; the last line says what was searched."""
    blocks = [_block(result) for result in report.results]
    blocks.append([coverage_line(report.coverage, now)])
    return ("\n\n".join("\n".join(block) for block in blocks) + "\n").encode()


def coverage_line(coverage: Coverage, now: datetime) -> str:
    """What was searched, in one line: "15,769 faces in 13,232 photos; ..., indexed today"."""
    searched, rest = count(coverage.photos, "photo"), []
    if coverage.subject == "face":
        searched = f"{count(coverage.faces, 'face')} in {searched}"
        rest = [f"{coverage.without_face:,} without a face"]
    indexed = f"indexed {days_ago(coverage.indexed_at, now)}" if coverage.indexed_at else ""
    rest += [
        f"{coverage.failed:,} failed",
        f"{count(coverage.roots_away, 'root')} away",
        indexed or "not indexed to the end yet",
    ]
    return f"{searched}; {', '.join(rest)}{_progress(coverage.progress)}"


def _progress(progress: Progress | None) -> str:
    if progress is None:
        return ""
    reached = f"{progress.done:,} of {progress.total:,}"
    if progress.running:
        return f"; index under way: {reached}"
    return f"; index interrupted at {reached}: run facesearch index to go on"


def _block(result: QueryResult) -> list[str]:
    if not result.neighbors:
        return headline(result)
    with_example = len(result.query.examples) > 1
    return [*headline(result), *_grid(result, with_example), *closing(result)]


def headline(result: QueryResult) -> list[str]:
    """What was searched, or why nothing was found."""
    notes = [f"note: {escape(note)}" for note in result.notes]
    if result.error is not None:
        message = result.error.message
        named = result.query.path == "-"  # by its name in words
        return [
            escape(message) if named else message_with_path(result.query.path, message),
            *notes,
        ]
    nothing = [] if result.neighbors else ["no neighbours"]
    return [_asked(result.query), *notes, *nothing]


def _asked(query: Query) -> str:
    if len(query.examples) > 1:
        shown = [escape(path) for path, _ in query.examples[:_EXAMPLES_SHOWN]]
        return (
            f"one person in {count(len(query.examples), 'photo')}: "
            f"{_listed(shown, len(query.examples), ', ')}"
        )
    name = "standard input" if query.path == "-" else escape(query.path)
    if query.face is None:
        return name
    if query.face == 0:
        return f"{name}: the given box"
    others = [face for face in query.faces if face.number != query.face]
    if not others:
        return f"{name}: face {query.face}"
    shown = [_whereabouts(face) for face in others[:_OTHER_FACES_SHOWN]]
    also = _listed(shown, len(others), "; ")
    return f"{name}: face {query.face} of {len(query.faces)} (also: {also})"


def _listed(shown: Sequence[str], total: int, separator: str) -> str:
    more = [f"{total - len(shown):,} more"] if total > len(shown) else []
    return separator.join([*shown, *more])


def _whereabouts(face: QueryFace) -> str:
    return f"{face.number} at {face.box.x:.0f},{face.box.y:.0f}"


class _Column(NamedTuple):
    title: str
    right: bool
    cell: Callable[[Neighbor], str]


def _columns(neighbors: Sequence[Neighbor], with_example: bool) -> list[_Column]:
    columns = [_Column("rank", True, lambda neighbor: str(neighbor.rank))]
    if any(neighbor.similarity is not None for neighbor in neighbors):
        columns.append(_Column("similarity", True, _similarity_cell))
    columns.append(_Column("distance", True, lambda neighbor: f"{neighbor.distance:.3f}"))
    if any(neighbor.similar for neighbor in neighbors):
        columns.append(_Column("similar", True, similar_cell))
    if any(neighbor.band for neighbor in neighbors):
        columns.append(_Column("band", False, lambda neighbor: escape(neighbor.band)))
    if any(neighbor.face is not None for neighbor in neighbors):
        columns.append(_Column("face", True, _face_cell))
    if any(neighbor.taken for neighbor in neighbors):
        columns.append(_Column("taken", False, lambda neighbor: escape(neighbor.taken[:10])))
    if with_example:
        columns.append(_Column("nearest to", False, _example_cell))
    return columns


def similar_cell(neighbor: Neighbor) -> str:
    """How many photos are folded into the line: "+11"."""
    return f"+{len(neighbor.similar):,}" if neighbor.similar else ""


def _similarity_cell(neighbor: Neighbor) -> str:
    return "-" if neighbor.similarity is None else f"{neighbor.similarity:.3f}"


def _face_cell(neighbor: Neighbor) -> str:
    return "-" if neighbor.face is None else str(neighbor.face)


def _example_cell(neighbor: Neighbor) -> str:
    return shorten(escape(PurePath(neighbor.example).name), _EXAMPLE_WIDTH)


def _grid(result: QueryResult, with_example: bool) -> list[str]:
    neighbors = result.neighbors
    columns = _columns(neighbors, with_example)
    rows = [[column.title for column in columns]]
    rows += [[column.cell(neighbor) for column in columns] for neighbor in neighbors]
    widths = [max(map(display_width, cells)) for cells in zip(*rows, strict=True)]
    fronts = [
        "  ".join(
            pad(cell, width, right=column.right)
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        for row in rows
    ]
    # The path comes last and whole, so that it can be copied.
    lines = [f"{fronts[0]}  path"]
    indent = " " * (sum(widths) + 2 * len(widths))
    expected = 0.0
    for front, neighbor in zip(fronts[1:], neighbors, strict=True):
        before, expected = expected, neighbor.expected_false_matches or 0.0
        if not result.by_date:  # in that order they are passed nowhere
            lines += _passed(before, expected, result.searched)
        lines.append(f"{front}  {escape(neighbor.path)}")
        lines += [f"{indent}also {escape(path)}" for path in neighbor.also[:_COPIES_SHOWN]]
        if len(neighbor.also) > _COPIES_SHOWN:
            lines.append(f"{indent}also {len(neighbor.also) - _COPIES_SHOWN:,} more")
    return lines


def _passed(before: float, now: float, searched: int) -> list[str]:
    """A line where the expected false matches pass a number worth knowing, the largest of them."""
    for level in _FALSE_MATCHES_SAID:
        if before < level <= now:
            verb = "is" if level == 1 else "are"
            return [
                f"-- beyond here {_false_matches(level)} {verb} to be expected among "
                f"{_faces(searched)} --"
            ]
    return []


def closing(result: QueryResult) -> list[str]:
    """How many false matches the farthest row's distance brings, where that is known."""
    if not result.neighbors:
        return []
    farthest = max(result.neighbors, key=lambda neighbor: neighbor.distance)
    expected = farthest.expected_false_matches
    if expected is None:
        return []
    return [f"{_false_matches(expected)} among {_faces(result.searched)} at this distance"]


def _false_matches(expected: float) -> str:
    if expected < _FEWEST_SAID:
        return f"fewer than {_FEWEST_SAID} false matches"
    number = about(expected)
    return f"about {number} false {'match' if number == '1' else 'matches'}"


def _faces(searched: int) -> str:
    return "1 face" if searched == 1 else f"{large(searched)} faces"
