"""``table.csv``: one row a system, every measure with its interval, safe in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from facesearch.report.evaluation.rows import Row, result_rows, untrained, without_results
from facesearch.report.spreadsheet import plain_text
from facesearch.report.terminal import escape
from facesearch.results import Evaluation, Identification, Measure, SystemResult

_Value = str | float | None
_LEADING = ("system", "way", "title", "source", "state", "message", "remedy")
MARK = ",".join(f'"{name}"' for name in _LEADING)
"""How the header of every such file begins, by which it is known again."""


def render(evaluation: Evaluation) -> str:
    """A header and a row for each system and way of searching.

    Shares are 0..1, sizes bytes. ``NAME.low`` and ``NAME.high`` are the ends of the 95 % interval.
    Systems without results have their state and no figures.
    """
    rows = [_facts(row) for row in result_rows(evaluation)]
    others = [*without_results(evaluation), *untrained(evaluation)]
    rows += [_about(system, system.name) for system in others]
    names = dict.fromkeys([*_LEADING, *(name for row in rows for name in row)])
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(plain_text(escape(name)) for name in names)
    writer.writerows([row.get(name) for name in names] for row in rows)
    return text.getvalue()


def _about(system: SystemResult, label: str) -> dict[str, _Value]:
    values = (system.name, label, system.title, system.source, system.state, system.message,
              system.remedy)  # fmt: skip
    return {name: plain_text(escape(value)) for name, value in zip(_LEADING, values, strict=True)}


def _facts(row: Row) -> dict[str, _Value]:
    facts = _about(row.system, row.label)
    if row.first:
        facts |= _cost(row.system)
    for protocol, found in row.identifications.items():
        facts |= _spread(protocol, _identification(found))
    if row.first:
        facts |= _once(row.system)
    return facts


def _cost(system: SystemResult) -> dict[str, _Value]:
    cost = system.cost
    if cost is None:
        return {}
    return {
        "photos_per_second": cost.photos_per_second,
        "seconds_per_query": cost.seconds_per_query,
        "search_seconds": cost.search_seconds,
        "store_bytes": cost.store_bytes,
        "peak_memory_bytes": cost.peak_memory_bytes,
        "dim": cost.dim,
        "rows": cost.rows,
    }


def _identification(found: Identification) -> Iterator[tuple[str, Measure]]:
    yield "people", Measure(found.people)
    yield "probes", Measure(found.probes)
    yield "misses", Measure(found.misses)
    yield from {"rank_1": found.rank_1, "rank_5": found.rank_5, "map": found.map}.items()
    for name, by_k in (
        ("recall_at", found.recall_at_k),
        ("same_in_first", found.same_in_first),
        ("others_in_first", found.others_in_first),
    ):
        yield from ((f"{name}_{k}", measure) for k, measure in by_k.items())


def _once(system: SystemResult) -> dict[str, _Value]:
    facts: dict[str, _Value] = {}
    if (pairs := system.verification) is not None:
        rates = ((f"tar_at_far_{rate}", tar) for rate, tar in pairs.tar_at_far.items())
        measures = [("accuracy", pairs.accuracy), ("auc", pairs.auc), ("eer", pairs.eer), *rates]
        facts |= _spread("pairs", iter(measures))
        facts["pairs.standard_error"] = pairs.standard_error
        facts["pairs.missing"] = pairs.missing
    if (found := system.open_set) is not None:
        missed = ((f"fnir_at_fpir_{rate}", fnir) for rate, fnir in found.fnir_at_fpir.items())
        facts |= _spread("open-set", missed)
        facts["open-set.misses"] = found.misses
    return facts


def _spread(prefix: str, measures: Iterator[tuple[str, Measure]]) -> dict[str, _Value]:
    facts: dict[str, _Value] = {}
    for name, measure in measures:
        facts[f"{prefix}.{name}"] = measure.value
        if measure.low is not None and measure.high is not None:
            facts[f"{prefix}.{name}.low"] = measure.low
            facts[f"{prefix}.{name}.high"] = measure.high
    return facts
