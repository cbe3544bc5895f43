"""The tables of an evaluation, alike in the terminal, on the page and in LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Generic, TypeVar

from facesearch.report.evaluation import cells
from facesearch.report.evaluation.cells import Better, Cell, rate
from facesearch.report.evaluation.rows import (
    Row,
    footnotes,
    protocol_title,
    protocols,
    result_rows,
    under_protocol,
)
from facesearch.report.wording import count
from facesearch.results import (
    Cost,
    Evaluation,
    Identification,
    Measure,
    OpenSet,
    Verification,
)

T = TypeVar("T")
_HEADLINE_RATE = "0.01"


@dataclass(frozen=True, slots=True)
class Table:
    """``head`` has one text for each cell of a row; the first column names the system.

    ``topic`` is a protocol's name, "pairs", "open-set", "cost" or "overview".
    """

    topic: str
    title: str
    about: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class _Column(Generic[T]):
    title: str
    cell: Callable[[T], Cell]
    better: Better = ""


def all_tables(evaluation: Evaluation) -> list[Table]:
    """Every table of results but the overview: by protocol, cost last."""
    rows, notes = result_rows(evaluation), footnotes(evaluation)
    found = chain(
        *(_identification(rows, protocol, notes) for protocol in protocols(rows)),
        _verification(rows, notes),
        _open_set(rows, notes),
        _cost(rows, notes),
    )
    return [table for table in found if table.rows]


def overview(evaluation: Evaluation) -> Table:
    """The headline figures and the cost of each system in one table."""
    rows, notes = result_rows(evaluation), footnotes(evaluation)
    columns: list[_Column[Row]] = []
    for protocol in protocols(rows):
        name = {"pois": "POI", "all-identities": "all"}.get(protocol, protocol)
        columns += [
            _Column(f"{name} rank-1", _share(_of(protocol, lambda found: found.rank_1)), "higher"),
            _Column(f"{name} mAP", _share(_of(protocol, lambda found: found.map)), "higher"),
        ]
    columns += [
        _Column("pairs accuracy", _share(_pairs_accuracy, 2), "higher"),
        _Column(f"FNIR @ FPIR {rate(_HEADLINE_RATE)}", _share(_missed), "lower"),
        *(_on_cost(column) for column in _cost_columns()),
    ]
    entries = [(row, row) for row in rows]
    table = _table(("overview", "Accuracy and cost", "Shares in %."), entries, columns, notes)
    return _without_empty_columns(table)


def _identification(rows: list[Row], protocol: str, notes: Mapping[str, int]) -> Iterator[Table]:
    entries = under_protocol(rows, protocol)
    title, about = protocol_title(protocol), _who_is_searched(entries[0][1])
    yield _table(
        (protocol, f"{title}: who is found", f"{about}, in %"),
        entries,
        [
            _Column("rank-1", lambda found: cells.share(found.rank_1), "higher"),
            _Column("rank-5", lambda found: cells.share(found.rank_5), "higher"),
            _Column("mAP", lambda found: cells.share(found.map), "higher"),
            *(
                _Column(f"recall@{k}", _share_at(lambda found: found.recall_at_k, k), "higher")
                for k in _all_k(found.recall_at_k for _, found in entries)
            ),
            _Column("misses", lambda found: cells.number(found.misses), "lower"),
        ],
        notes,
    )
    counted = _all_k(found.same_in_first for _, found in entries)
    alone = _all_k(found.others_in_first for _, found in entries)
    yield _table(
        (protocol, f"{title}: photos of the same person among the first", "mean a probe"),
        entries,
        [
            *(
                _Column(f"{k}, own counted", _amount_at(lambda found: found.same_in_first, k),
                        "higher")
                for k in counted
            ),
            *(
                _Column(f"{k}, own left out", _amount_at(lambda found: found.others_in_first, k),
                        "higher")
                for k in alone
            ),
        ],
        notes,
    )  # fmt: skip
    yield _by_group(entries, (protocol, f"{title}: by group", "in %"), notes)


def _by_group(
    entries: list[tuple[Row, Identification]], heading: tuple[str, str, str],
    notes: Mapping[str, int],
) -> Table:  # fmt: skip
    groups = sorted({group for _, found in entries for group in found.groups})
    spread = [
        (replace(row, label=f"{row.label}, {group}", first=False), found.groups[group])
        for group in groups
        for row, found in entries
        if group in found.groups
    ]
    names = {"rank_1": "rank-1", "map": "mAP"}
    measures = dict.fromkeys(name for _, scores in spread for name in scores)
    columns = [
        _Column(names.get(name, name), _share_of_group(name)) for name in measures
    ]  # fmt: skip
    return _table(heading, spread, columns, notes)


def _verification(rows: list[Row], notes: Mapping[str, int]) -> Iterator[Table]:
    entries = [
        (row, row.system.verification) for row in rows if row.first and row.system.verification
    ]
    if not entries:
        return
    first = entries[0][1]
    rates = sorted({name for _, found in entries for name in found.tar_at_far}, reverse=True)
    columns: list[_Column[Verification]] = [
        _Column("accuracy", lambda found: cells.share(found.accuracy, 2), "higher"),
        _Column("std. error", lambda found: cells.share(Measure(found.standard_error), 2)),
        _Column("AUC", lambda found: cells.share(found.auc, 2), "higher"),
        _Column("EER", lambda found: cells.share(found.eer, 2), "lower"),
        *(_Column(f"TAR @ FAR {rate(name)}", _true_accepts(name), "higher") for name in rates),
        _Column("missing", lambda found: cells.number(found.missing), "lower"),
    ]
    about = f"{count(first.pairs, 'pair')} in {count(first.folds, 'fold')}, in %"
    yield _table(("pairs", "Pairs: the same person or not", about), entries, columns, notes)


def _open_set(rows: list[Row], notes: Mapping[str, int]) -> Iterator[Table]:
    entries = [(row, row.system.open_set) for row in rows if row.first and row.system.open_set]
    if not entries:
        return
    first = entries[0][1]
    rates = sorted({name for _, found in entries for name in found.fnir_at_fpir}, reverse=True)
    columns: list[_Column[OpenSet]] = [
        *(_Column(f"FNIR @ FPIR {rate(name)}", _missed_at(name), "lower") for name in rates),
        *(_Column(f"distance at {rate(name)}", _distance_at(name)) for name in rates),
        _Column("misses", lambda found: cells.number(found.misses), "lower"),
    ]
    about = (
        f"{count(first.people_enrolled, 'person', 'people')} enrolled with "
        f"{count(first.photos_enrolled, 'photo')}; "
        f"{count(first.mated_probes, 'search', 'searches')} for them, "
        f"{first.stranger_probes:,} by strangers, "
        f"seed {first.seed}; shares in %"
    )
    yield _table(
        ("open-set", "Open set: is the person here at all", about), entries, columns, notes
    )


def _cost(rows: list[Row], notes: Mapping[str, int]) -> Iterator[Table]:
    entries = [(row, row.system.cost) for row in rows if row.first and row.system.cost]
    yield _table(("cost", "Cost", ""), entries, _cost_columns(whole=True), notes)


def _cost_columns(*, whole: bool = False) -> list[_Column[Cost]]:
    columns: list[_Column[Cost]] = [
        _Column("photos/s", lambda cost: cells.number(cost.photos_per_second, 1), "higher"),
        _Column("s a query", lambda cost: cells.seconds(cost.seconds_per_query), "lower"),
        _Column("store", lambda cost: cells.space(cost.store_bytes), "lower"),
        _Column("peak memory", lambda cost: cells.space(cost.peak_memory_bytes), "lower"),
    ]
    if whole:
        columns.insert(
            2, _Column("search in it, s", lambda cost: cells.seconds(cost.search_seconds))
        )
        columns += [
            _Column("rows", lambda cost: cells.number(cost.rows)),
            _Column("dimensions", lambda cost: cells.number(cost.dim)),
        ]
    return columns


def _on_cost(column: _Column[Cost]) -> _Column[Row]:
    def cell(row: Row) -> Cell:
        known = row.first and row.system.cost
        return column.cell(known) if known else Cell(cells.NOTHING)

    return _Column(column.title, cell, column.better)


def _table(
    heading: tuple[str, str, str],
    entries: Iterable[tuple[Row, T]],
    columns: list[_Column[T]],
    notes: Mapping[str, int],
) -> Table:
    entries = list(entries)
    names = [
        Cell(row.label, notes=tuple(notes[note] for note in row.system.notes)) for row, _ in entries
    ]
    filled = [
        cells.with_best_marked([column.cell(found) for _, found in entries], column.better)
        for column in columns
    ]
    head = ("system", *(column.title for column in columns))
    return Table(*heading, head, tuple(zip(names, *filled, strict=True)) if columns else ())


def _without_empty_columns(table: Table) -> Table:
    kept = [
        place
        for place in range(len(table.head))
        if any(row[place].text != cells.NOTHING for row in table.rows)
    ]
    head = tuple(table.head[place] for place in kept)
    return replace(
        table, head=head, rows=tuple(tuple(row[place] for place in kept) for row in table.rows)
    )


def _who_is_searched(found: Identification) -> str:
    each = "one face a photo" if found.gallery == "central" else "every face of a photo"
    return (
        f"{count(found.people, 'person', 'people')}, {count(found.probes, 'probe')}, each against "
        f"{count(found.photos - 1, 'other photo')} ({each})"
    )


def _all_k(mappings: Iterable[Mapping[int, Measure]]) -> list[int]:
    return sorted({k for mapping in mappings for k in mapping})


def _share(get: Callable[[T], Measure | None], digits: int = 1) -> Callable[[T], Cell]:
    return lambda found: cells.share(get(found), digits)


def _of(protocol: str, get: Callable[[Identification], Measure]) -> Callable[[Row], Measure | None]:
    def measure(row: Row) -> Measure | None:
        found = row.identifications.get(protocol)
        return get(found) if found else None

    return measure


def _pairs_accuracy(row: Row) -> Measure | None:
    return row.system.verification.accuracy if row.first and row.system.verification else None


def _missed(row: Row) -> Measure | None:
    found = row.system.open_set if row.first else None
    return found.fnir_at_fpir.get(_HEADLINE_RATE) if found else None


def _share_at(
    get: Callable[[Identification], Mapping[int, Measure]], k: int
) -> Callable[[Identification], Cell]:
    return lambda found: cells.share(get(found).get(k))


def _amount_at(
    get: Callable[[Identification], Mapping[int, Measure]], k: int
) -> Callable[[Identification], Cell]:
    return lambda found: cells.amount(get(found).get(k))


def _share_of_group(name: str) -> Callable[[dict[str, Measure]], Cell]:
    return lambda scores: cells.share(scores.get(name))


def _true_accepts(name: str) -> Callable[[Verification], Cell]:
    return lambda found: cells.share(found.tar_at_far.get(name), 2)


def _missed_at(name: str) -> Callable[[OpenSet], Cell]:
    return lambda found: cells.share(found.fnir_at_fpir.get(name))


def _distance_at(name: str) -> Callable[[OpenSet], Cell]:
    return lambda found: cells.number(found.thresholds.get(name), 3)
