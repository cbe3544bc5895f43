"""``index.html``: one page that holds everything it shows and opens without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from facesearch.report.evaluation import answers, cells
from facesearch.report.evaluation.answers import Strips, count_pictures, named
from facesearch.report.evaluation.cells import Cell
from facesearch.report.evaluation.comparing import in_words
from facesearch.report.evaluation.drawing import Picture
from facesearch.report.evaluation.rows import (
    Row,
    footnotes,
    protocol_title,
    protocols,
    result_rows,
    under_protocol,
    untrained,
    without_results,
)
from facesearch.report.evaluation.tables import Table, all_tables, overview
from facesearch.report.evaluation.thumbnails import Pictures, Thumbnails
from facesearch.report.pages import data_uri, inline, template
from facesearch.report.wording import count
from facesearch.results import Evaluation, Measure

MARK = '<meta name="generator" content="facesearch eval">'
"""Near the beginning of every such file, by which it is known again."""
_TITLES = {
    "pairs": "Pairs: the same person or not",
    "open-set": "Open set: is the person here at all",
    "cost": "Cost",
}
_MOST_PERSONS = 200


@dataclass(frozen=True, slots=True)
class DrawnFigure:
    """A figure as SVG for a light and for a dark page."""

    picture: Picture
    light: bytes
    dark: bytes


@dataclass(frozen=True, slots=True)
class _Figure:
    name: str
    alt: str
    light: str
    dark: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Section:
    anchor: str
    title: str
    tables: list[dict[str, Any]]
    figures: list[_Figure]
    folds: Table | None = None
    persons: Table | None = None
    persons_about: str = ""
    hardest: tuple[Strips, ...] = ()
    sheets: tuple[Strips, ...] = ()
    sheets_left_out: str = ""


def render(
    evaluation: Evaluation, figures: Mapping[str, list[DrawnFigure]], picture: Pictures
) -> str:
    """The page.

    Args:
        evaluation: what was found.
        figures: by topic, as ``figures.all_pictures`` gives them.
        picture: gives the pixels of a face or photo.
    """
    from markupsafe import Markup

    style = inline("evaluation.css")
    found = [one for row in result_rows(evaluation) for one in row.identifications.values()]
    thumbnails = Thumbnails(picture, count_pictures(found))
    # Markup for our own text alone; all else is escaped.
    return str(
        template("evaluation.html").render(
            evaluation=evaluation,
            css=style.text,
            style_hash=style.hash,
            generator=Markup(MARK),
            side=thumbnails.side,
            summary=_summary(evaluation),
            facts=_facts(evaluation),
            overview=overview(evaluation),
            footnotes=list(footnotes(evaluation).items()),
            without_results=without_results(evaluation),
            untrained=untrained(evaluation),
            sections=list(_sections(evaluation, figures, thumbnails)),
            comparisons=[in_words(comparison) for comparison in evaluation.comparisons],
            identical=_identical(evaluation),
        )
    )


def _summary(evaluation: Evaluation) -> str:
    systems = dict.fromkeys(row.system.name for row in result_rows(evaluation))
    facts = evaluation.dataset
    return (
        f"{count(len(systems), 'system')} measured on {count(facts.photos, 'photo')} of "
        f"{count(facts.people, 'person', 'people')} in {facts.folder}"
    )


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    facts = evaluation.dataset
    limit = "all photos" if facts.limit is None else f"{facts.limit:,}, in order of {facts.order}"
    return [
        ("photos", f"{facts.photos:,}"),
        ("people", f"{facts.people:,}"),
        ("photos that failed", f"{facts.failed:,}"),
        ("identical files", f"{sum(map(len, facts.identical)):,}"),
        ("limit", limit),
        ("seed", str(evaluation.seed)),
        ("made on", evaluation.made_at[:10] or cells.NOTHING),
    ]


def _identical(evaluation: Evaluation) -> str:
    groups = evaluation.dataset.identical
    if not groups:
        return ""
    return (
        f"{count(sum(map(len, groups)), 'file')} in {count(len(groups), 'group')} have the same "
        "bytes as another."
    )


def _sections(
    evaluation: Evaluation, figures: Mapping[str, list[DrawnFigure]], thumbnails: Thumbnails
) -> Iterator[_Section]:
    rows, tables = result_rows(evaluation), all_tables(evaluation)
    for topic in dict.fromkeys(table.topic for table in tables):
        title = _TITLES.get(topic, protocol_title(topic))
        own = [_titled(table, title) for table in tables if table.topic == topic]
        drawn = [_figure(figure) for figure in figures.get(topic, [])]
        anchor = re.sub(r"[^a-z0-9-]+", "-", topic.lower())
        if topic not in protocols(rows):
            folds = _folds(rows) if topic == "pairs" else None
            yield _Section(anchor, title, own, drawn, folds=folds)
            continue
        persons, people = _persons(rows, topic)
        left_out = answers.count_sheets(rows, topic) - answers.MOST_SHEETS
        yield _Section(
            anchor,
            title,
            own,
            drawn,
            persons=persons,
            persons_about=f"mean average precision, %; {people}",
            hardest=tuple(answers.hardest(rows, topic, thumbnails)),
            sheets=tuple(answers.sheets(rows, topic, thumbnails)),
            sheets_left_out=(
                f"{count(left_out, 'more person', 'more people')} in results.json alone."
                if left_out > 0
                else ""
            ),
        )


def _titled(table: Table, section: str) -> dict[str, Any]:
    """The table with what its title says beyond the section's."""
    beyond = table.title.removeprefix(section).removeprefix(": ")
    return {
        "title": table.title,
        "subtitle": beyond[:1].upper() + beyond[1:],
        "about": table.about,
        "head": table.head,
        "rows": table.rows,
    }


def _figure(drawn: DrawnFigure) -> _Figure:
    box = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn.light)
    width, height = (float(side) for side in box.groups()) if box else drawn.picture.size
    light, dark = (data_uri("image/svg+xml", svg) for svg in (drawn.light, drawn.dark))
    return _Figure(
        drawn.picture.name, drawn.picture.alt, light, dark, round(width), round(height)
    )  # fmt: skip


def _folds(rows: list[Row]) -> Table | None:
    entries = [
        (row.label, row.system.verification)
        for row in rows
        if row.first and row.system.verification
    ]
    most = max((len(found.fold_accuracies) for _, found in entries), default=0)
    if not most:
        return None
    lines = []
    for label, found in entries:
        accuracies = [cells.share(Measure(value), 2) for value in found.fold_accuracies]
        blanks = [Cell(cells.NOTHING)] * (most - len(accuracies))
        lines.append((Cell(label), *accuracies, *blanks))
    head = ("system", *(f"fold {number}" for number in range(1, most + 1)))
    return Table("pairs", "Folds", "", head, tuple(lines))


def _persons(rows: list[Row], protocol: str) -> tuple[Table | None, str]:
    """Each person's mean average precision under every system, those found worst first."""
    columns = [
        (row.label, {person.person: person.map for person in found.per_person})
        for row, found in under_protocol(rows, protocol)
        if found.per_person
    ]
    everybody = list(dict.fromkeys(name for _, scores in columns for name in scores))
    if not everybody:
        return None, ""

    def mean(name: str) -> float:
        known = [scores[name] for _, scores in columns if name in scores]
        return sum(known) / len(known)

    shown = sorted(everybody, key=lambda name: (mean(name), name))[:_MOST_PERSONS]
    lines = tuple(
        (Cell(named(name)), *(_precision(scores.get(name)) for _, scores in columns))
        for name in shown
    )
    about = count(len(shown), "person", "people")
    if len(shown) < len(everybody):
        about = f"the {len(shown)} found worst of {len(everybody):,}"
    return Table(
        protocol, "Persons", "", ("person", *(label for label, _ in columns)), lines
    ), about


def _precision(value: float | None) -> Cell:
    return cells.share(None if value is None else Measure(value))
