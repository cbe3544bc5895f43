"""Which figures an evaluation has: ROC, DET, CMC, distances, persons, accuracy against time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from facesearch.report.evaluation import cells, plots
from facesearch.report.evaluation.drawing import Picture
from facesearch.report.evaluation.rows import (
    Row,
    protocol_title,
    protocols,
    result_rows,
    under_protocol,
)
from facesearch.results import Curve, Evaluation, Histogram, Identification

_WIDE = (6.4, 4.3)
_PEOPLE_SHOWN = 60


def all_pictures(evaluation: Evaluation) -> dict[str, list[Picture]]:
    """The figures by topic: a protocol's name, "pairs", "open-set" or "cost"."""
    rows = result_rows(evaluation)
    found: dict[str, list[Picture]] = {
        protocol: list(_identification(rows, protocol)) for protocol in protocols(rows)
    }
    found["pairs"] = list(chain(_roc(rows), _pair_distances(rows)))
    found["open-set"] = list(_det(rows))
    found["cost"] = list(_against_time(rows))
    return {topic: pictures for topic, pictures in _named_apart(found).items() if pictures}


def _named_apart(found: dict[str, list[Picture]]) -> dict[str, list[Picture]]:
    """Two systems whose names differ in odd characters alone must not share a file."""
    counts: Counter[str] = Counter()
    for pictures in found.values():
        for place, picture in enumerate(pictures):
            counts[picture.name] += 1
            if counts[picture.name] > 1:
                name = f"{picture.name}_{counts[picture.name]}"
                pictures[place] = replace(picture, name=name)
    return found


def _identification(rows: list[Row], protocol: str) -> Iterator[Picture]:
    entries = under_protocol(rows, protocol)
    title = protocol_title(protocol)
    places = [(rows.index(row), row.label, found) for row, found in entries]
    lines = [
        (place, f"{label}  (rank-1 {cells.share(found.rank_1).text} %)",
         Curve(tuple(range(1, len(found.cmc) + 1)), found.cmc))
        for place, label, found in places
        if found.cmc
    ]  # fmt: skip
    if lines:
        yield Picture(
            f"{_stem(protocol)}-cmc",
            f"{title}: found by rank (CMC)",
            "Share of probes with a photo of the same person among the first 1, 2, ... photos. "
            + _endings(lines, "rank"),
            _WIDE,
            partial(plots.draw_ranks, lines),
        )
    for _, label, found in places:
        yield from _histogram(
            f"{_stem(protocol)}-distances-{_stem(label)}", f"{label}: distances", found.distances
        )
    # Everybody's persons are too many to be read one by one.
    if protocol == "pois":
        yield from _persons(places, title)


def _roc(rows: list[Row]) -> Iterator[Picture]:
    entries = [
        (place, row, row.system.verification)
        for place, row in enumerate(rows)
        if row.first and row.system.verification and row.system.verification.roc.x
    ]
    lines = [
        (place, f"{row.label}  (AUC {cells.share(found.auc, 2).text} %)", found.roc)
        for place, row, found in entries
    ]
    if lines:
        others = min(found.pairs for _, _, found in entries) / 2
        yield Picture(
            "pairs-roc",
            "Pairs: true against false accepts (ROC)",
            "True accept rate against false accept rate, the latter on a logarithmic axis. "
            + "; ".join(label for _, label, _ in lines),
            _WIDE,
            partial(plots.draw_accepts, lines, plots.FEW / others),
        )


def _det(rows: list[Row]) -> Iterator[Picture]:
    entries = [
        (place, row, row.system.open_set)
        for place, row in enumerate(rows)
        if row.first and row.system.open_set and row.system.open_set.det.x
    ]
    lines = [(place, row.label, found.det) for place, row, found in entries]
    if lines:
        strangers = max(1, min(found.stranger_probes for _, _, found in entries))
        yield Picture(
            "open-set-det",
            "Open set: misses against false alarms (DET)",
            "False negative identification rate against false positive identification rate, both "
            f"on logarithmic axes, for {', '.join(label for _, label, _ in lines)}.",
            _WIDE,
            partial(plots.draw_misses, lines, plots.FEW / strangers),
        )


def _pair_distances(rows: list[Row]) -> Iterator[Picture]:
    for row in rows:
        found = row.system.verification if row.first else None
        if found:
            name = f"pairs-distances-{_stem(row.label)}"
            yield from _histogram(
                name, f"{row.label}: distances of pairs", found.distances, found.thresholds
            )


def _histogram(
    name: str, title: str, counts: Histogram, thresholds: Sequence[float] = ()
) -> Iterator[Picture]:
    if len(counts.edges) < 2 or {len(counts.mates), len(counts.others)} != {len(counts.edges) - 1}:
        return
    yield Picture(
        name,
        title,
        f"Distances of {sum(counts.mates):,} pairs of photos of the same person, most often about "
        f"{_mode(counts, counts.mates)}, and of {sum(counts.others):,} of different people, most "
        f"often about {_mode(counts, counts.others)}.",
        (6.4, 3.5),
        partial(plots.draw_histogram, counts, tuple(thresholds)),
    )


def _persons(places: list[tuple[int, str, Identification]], title: str) -> Iterator[Picture]:
    scores = [
        (place, label, {person.person: person.map for person in found.per_person})
        for place, label, found in places
        if found.per_person
    ]
    if not scores:
        return
    mean: dict[str, float] = {}
    for person in dict.fromkeys(name for _, _, by_name in scores for name in by_name):
        values = [by_name[person] for _, _, by_name in scores if person in by_name]
        mean[person] = sum(values) / len(values)
    ordered = sorted(mean, key=lambda name: (mean[name], name))
    shown = ordered[:_PEOPLE_SHOWN]
    which = "" if len(shown) == len(ordered) else f", {_PEOPLE_SHOWN} found worst"
    yield Picture(
        "pois-persons",
        f"{title}: average precision{which}",
        f"Mean average precision of each of {len(shown)} people for every system; the lowest is "
        f"{shown[0].replace('_', ' ')} with {100 * mean[shown[0]]:.1f} % on average.",
        (6.4, 1.7 + 0.23 * len(shown)),
        partial(plots.draw_persons, scores, shown),
    )


def _against_time(rows: list[Row]) -> Iterator[Picture]:
    for protocol, get in (("pois", "map"), ("all-identities", "map"), ("pairs", "accuracy")):
        points = [
            (place, row.label, row.system.cost.seconds_per_query, measure)
            for place, row in enumerate(rows)
            if row.first and row.system.cost and row.system.cost.seconds_per_query
            for measure in [_headline(row, protocol, get)]
            if measure is not None
        ]
        if len(points) < 2:
            continue
        name = "accuracy of pairs" if protocol == "pairs" else "mAP"
        about = "" if protocol == "pairs" else f", {protocol_title(protocol).lower()}"
        yield Picture(
            "accuracy-and-time",
            f"Accuracy and time{about}",
            "; ".join(f"{label}: {100 * value:.1f} % at {time:.3g} s a query"
                      for _, label, time, value in points),
            (6.4, 3.9),
            partial(plots.draw_against_time, points, name),
        )  # fmt: skip
        return


def _headline(row: Row, protocol: str, measure: str) -> float | None:
    found = row.system.verification if protocol == "pairs" else row.identifications.get(protocol)
    return getattr(found, measure).value if found else None


def _mode(counts: Histogram, numbers: Sequence[int]) -> str:
    place = max(range(len(numbers)), key=lambda at: numbers[at])
    return f"{(counts.edges[place] + counts.edges[place + 1]) / 2:.2f}"


def _endings(lines: list[plots.Line], word: str) -> str:
    return "; ".join(
        f"{label}, {100 * curve.y[-1]:.1f} % at {word} {curve.x[-1]:g}" for _, label, curve in lines
    )


def _stem(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "system"
