"""An evaluation for the terminal: small tables, then what a reader must know."""

from __future__ import annotations

from collections.abc import Iterator

from facesearch.report.evaluation.cells import Cell
from facesearch.report.evaluation.comparing import in_words
from facesearch.report.evaluation.rows import (
    dataset_line,
    footnotes,
    untrained,
    without_results,
)
from facesearch.report.evaluation.tables import Table, all_tables
from facesearch.report.terminal import display_width, escape, pad, shorten
from facesearch.report.wording import count
from facesearch.results import Evaluation, SystemResult

_WIDTH = 110
_NAME_WIDTH = 40
_GROUPS_SHOWN = 5
_GAP = 2


def render(evaluation: Evaluation) -> str:
    """Tables by protocol, comparisons, footnotes, systems without results, identical files."""
    blocks = [[escape(dataset_line(evaluation))]]
    blocks += [_table_lines(table) for table in all_tables(evaluation)]
    blocks += [
        list(lines(evaluation))
        for lines in (_comparisons, _notes, _without_results, _untrained, _identical)
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _table_lines(table: Table) -> list[str]:
    grid = [list(map(escape, table.head)), *(list(map(_text, row)) for row in table.rows)]
    for line in grid:
        line[0] = shorten(line[0], _NAME_WIDTH)
    columns = list(zip(*grid, strict=True))
    lines = [table.title, *([table.about] if table.about else [])]
    for part in _that_fit(columns):
        widths = [max(map(display_width, column)) for column in part]
        for row in zip(*part, strict=True):
            cells = (
                pad(text, width, right=place > 0)
                for place, (text, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append((" " * _GAP).join(cells).rstrip())
    return lines


def _that_fit(columns: list[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    """The columns in as many lots as the width takes, each behind the systems' names."""
    names, *rest = columns
    lot, used = [names], _width(names)
    for column in rest:
        if len(lot) > 1 and used + _GAP + _width(column) > _WIDTH:
            yield lot
            lot, used = [names], _width(names)
        lot.append(column)
        used += _GAP + _width(column)
    yield lot


def _width(column: tuple[str, ...]) -> int:
    return max(map(display_width, column))


def _text(cell: Cell) -> str:
    marks = "".join(f" ({note})" for note in cell.notes)
    interval = f" [{cell.interval}]" if cell.interval else ""
    return escape(cell.text) + interval + marks


def _comparisons(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.comparisons:
        yield "Paired comparisons (percentage points, 95 % interval)"
    for comparison in evaluation.comparisons:
        words = in_words(comparison)
        yield (
            f"{escape(words.system)} against {escape(words.reference)}, {escape(words.protocol)}, "
            f"{escape(words.measure)}: {_text(words.difference)}, {words.verdict}"
        )


def _notes(evaluation: Evaluation) -> Iterator[str]:
    for note, place in footnotes(evaluation).items():
        yield f"({place}) {escape(note)}"


def _without_results(evaluation: Evaluation) -> Iterator[str]:
    systems = without_results(evaluation)
    if systems:
        yield "Without results"
    for system in systems:
        remedy = f"; run: {escape(system.remedy)}" if system.remedy else ""
        yield f"{_who(system)}: {system.state}{_why(system)}{remedy}"


def _untrained(evaluation: Evaluation) -> Iterator[str]:
    systems = untrained(evaluation)
    if systems:
        yield "Run through untrained (random weights), no results"
    for system in systems:
        notes = "".join(f"; {escape(note)}" for note in system.notes)
        remedy = f"; run: {escape(system.remedy)}" if system.remedy else ""
        yield f"{_who(system)}{_why(system)}{notes}{remedy}"


def _who(system: SystemResult) -> str:
    return escape(system.name)


def _why(system: SystemResult) -> str:
    return f": {escape(system.message)}" if system.message else ""


def _identical(evaluation: Evaluation) -> Iterator[str]:
    groups = evaluation.dataset.identical
    if not groups:
        return
    files = sum(map(len, groups))
    yield (
        f"{count(files, 'file')} in {count(len(groups), 'group')} have the same bytes as another; "
        "each is ranked on its own"
    )
    for group in groups[:_GROUPS_SHOWN]:
        yield "  " + " = ".join(map(escape, group))
    if len(groups) > _GROUPS_SHOWN:
        yield f"  and {len(groups) - _GROUPS_SHOWN:,} more groups: --json or --report lists all"
