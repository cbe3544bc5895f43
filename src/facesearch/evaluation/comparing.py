"""Is one system better than another, or just lucky? A paired bootstrap over the same probes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from facesearch.evaluation import metrics
from facesearch.evaluation.kept_results import ProbeRecord, SystemRecord
from facesearch.results import Comparison


def compare(records: Sequence[SystemRecord], seed: int) -> Iterator[Comparison]:
    """Each finished system against the first one, and expanded search against plain search."""
    done = [record for record in records if record.result.state == "done"]
    for record in done[1:]:
        yield from _against(done[0], record, seed)
    for record in done:
        yield from _expanded_gain(record, seed)


def _against(reference: SystemRecord, record: SystemRecord, seed: int) -> Iterator[Comparison]:
    names = record.result.name, reference.result.name
    expanded = f"{names[0]} --expand", f"{names[1]} --expand"
    for first in reference.probes:
        for second in record.probes:
            if (first.protocol, first.expanded) == (second.protocol, second.expanded):
                both = expanded if first.expanded else names
                yield from _probes(first, second, (*both, first.protocol), seed)
    first_pairs, second_pairs = reference.right_pairs, record.right_pairs
    if first_pairs and len(first_pairs) == len(second_pairs):
        difference = metrics.paired_by_people(
            np.array(first_pairs), np.array(second_pairs), np.arange(len(first_pairs)), seed
        )
        yield Comparison(*names, "pairs", "accuracy", difference)


def _expanded_gain(record: SystemRecord, seed: int) -> Iterator[Comparison]:
    name = record.result.name
    for first in record.probes:
        for second in record.probes:
            if first.protocol == second.protocol and second.expanded and not first.expanded:
                yield from _probes(first, second, (f"{name} --expand", name, first.protocol), seed)


def _probes(
    first: ProbeRecord, second: ProbeRecord, names: tuple[str, str, str], seed: int
) -> Iterator[Comparison]:
    if first.keys != second.keys:
        return
    for measure in ("rank_1", "map"):
        difference = metrics.paired_by_people(
            np.array(getattr(first, measure)),
            np.array(getattr(second, measure)),
            np.array(first.person),
            seed,
        )
        yield Comparison(*names, measure, difference)
