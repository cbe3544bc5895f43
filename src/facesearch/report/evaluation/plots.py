"""Draws each kind of figure on its axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from facesearch.report.evaluation.drawing import Theme, lettering, line_style, marker_style
from facesearch.results import Curve, Histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 3
"""A rate that stands on fewer cases than this is drawn on grey."""
_LOG_RANKS = 25

Line = tuple[int, str, Curve]
"""A system's place among all, its label, its curve."""


def draw_ranks(lines: list[Line], axes: Axes, theme: Theme) -> None:
    """Share of probes by rank, one line a system."""
    for place, label, curve in lines:
        shares = [100 * value for value in curve.y]
        marks: dict[str, Any] = (
            {"marker": ".", "markersize": 5} if len(shares) <= _LOG_RANKS else {}
        )
        axes.plot(curve.x, shares, label=lettering(label), **marks, **line_style(place, theme))
    ranks = max(len(curve.x) for _, _, curve in lines)
    if ranks > _LOG_RANKS:
        axes.set_xscale("log")
        _plain_ticks(axes, [rank for rank in (1, 2, 5, 10, 20, 50, 100, 500) if rank <= ranks])
    _percent(axes)
    _up_to_all(axes, (value for _, _, curve in lines for value in curve.y))
    axes.set_xlabel("rank")
    axes.set_ylabel("probes with a mate by then")


def draw_accepts(lines: list[Line], doubtful: float, axes: Axes, theme: Theme) -> None:
    """True against false accepts; up to ``doubtful`` the ground is grey."""
    start = _smallest(lines)
    clipped = [(place, label, _from(curve, start)) for place, label, curve in lines]
    for place, label, curve in clipped:
        shares = [100 * value for value in curve.y]
        axes.plot(curve.x, shares, label=lettering(label), **line_style(place, theme))
    _rates(axes, start)
    _percent(axes)
    _up_to_all(axes, (value for _, _, curve in clipped for value in curve.y))
    _shade(axes, theme, (start, doubtful), f"fewer than {FEW} false accepts")
    axes.set_xlabel("false accept rate (FAR)")
    axes.set_ylabel("true accept rate (TAR)")


def draw_misses(lines: list[Line], doubtful: float, axes: Axes, theme: Theme) -> None:
    """Misses against false alarms; up to ``doubtful`` the ground is grey."""
    start = _smallest(lines)
    lowest = 1.0
    for place, label, curve in lines:
        clipped = _from(curve, start)
        missed = [value if value > 0 else math.nan for value in clipped.y]
        lowest = min([lowest, *(value for value in missed if value == value)])  # noqa: PLR0124
        axes.plot(clipped.x, missed, label=lettering(label), **line_style(place, theme))
    _rates(axes, start)
    axes.set_yscale("log")
    bottom = lowest / 1.3
    axes.set_ylim(bottom, 1.08)
    ticks = [step * 10.0**power for power in range(-6, 1) for step in (1, 2, 5)]
    axes.set_yticks([tick for tick in ticks if bottom <= tick <= 1])
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    _shade(axes, theme, (start, doubtful), f"fewer than {FEW} alarms")
    axes.set_xlabel("strangers' searches that give anyone (FPIR)")
    axes.set_ylabel("searches that miss (FNIR)")


def draw_histogram(
    counts: Histogram, thresholds: tuple[float, ...], axes: Axes, theme: Theme
) -> None:
    """Both kinds of distances, each as shares of its own kind."""
    for label, numbers, color, dash in (
        ("same person", counts.mates, theme.mates, "-"),
        ("different people", counts.others, theme.others, (0, (4, 1.5))),
    ):
        total = sum(numbers) or 1
        shares = [100 * number / total for number in numbers]
        axes.stairs(shares, counts.edges, fill=True, color=color, alpha=0.28, linewidth=0)
        axes.stairs(
            shares, counts.edges, color=color, linewidth=1.7, linestyle=dash,
            label=f"{label} ({total if any(numbers) else 0:,})",
        )  # fmt: skip
    finite = [threshold for threshold in thresholds if math.isfinite(threshold)]
    if finite:
        middle = sum(finite) / len(finite)
        axes.axvline(middle, color=theme.muted, linewidth=1.2, linestyle=":",
                     label=f"threshold {middle:.3f}")  # fmt: skip
    axes.set_xlim(counts.edges[0], counts.edges[-1])
    axes.set_ylim(bottom=0)
    _percent(axes)
    axes.set_xlabel("distance")
    axes.set_ylabel("share of its kind")


def draw_persons(
    scores: list[tuple[int, str, dict[str, float]]], people: list[str], axes: Axes, theme: Theme
) -> None:
    """A line for each person, a point for each system."""
    for turn, (place, label, by_name) in enumerate(scores):
        # Beside each other within the person's line, so that equal ones do not hide another.
        shift = 0.5 * ((turn + 0.5) / len(scores) - 0.5)
        known = [(100 * by_name[person], row + shift) for row, person in enumerate(people)
                 if person in by_name]  # fmt: skip
        axes.plot(
            *zip(*known, strict=True), label=lettering(label), markersize=5.5, alpha=0.9,
            markeredgewidth=0, **marker_style(place, theme),
        )  # fmt: skip
    axes.set_yticks(range(len(people)))
    axes.set_yticklabels([lettering(person.replace("_", " "), 28) for person in people])
    axes.tick_params(axis="y", labelsize=9.5, length=0)
    axes.set_ylim(len(people) - 0.4, -0.6)
    axes.grid(visible=True, axis="both")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.set_xlabel("mean average precision")


def draw_against_time(
    points: list[tuple[int, str, float, float]], name: str, axes: Axes, theme: Theme
) -> None:
    """A point for each system."""
    for place, label, time, value in points:
        axes.plot(
            [time], [100 * value], label=lettering(label), markersize=9, alpha=0.95,
            markeredgewidth=0, **marker_style(place, theme),
        )  # fmt: skip
    axes.set_xscale("log")
    times = [time for _, _, time, _ in points]
    low, high = min(times) / 2, max(times) * 2
    axes.set_xlim(low, high)
    ticks = [step * 10.0**power for power in range(-4, 5) for step in (1, 2, 5)]
    _plain_ticks(axes, [tick for tick in ticks if low <= tick <= high])
    _up_to_all(axes, (value for *_, value in points))
    _percent(axes)
    axes.set_xlabel("seconds a query")
    axes.set_ylabel(name)


def _plain_ticks(axes: Axes, ticks: Sequence[float]) -> None:
    axes.set_xticks(ticks)
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _up_to_all(axes: Axes, values: Iterator[float]) -> None:
    bottom = _floor(values)
    axes.set_ylim(bottom, 100 + 0.03 * (100 - bottom))


def _rates(axes: Axes, start: float) -> None:
    """False rates as the field writes them: 1e-3, 1e-2, 1e-1, 1."""
    ticks = [10.0**power for power in range(-6, 1) if 10.0**power >= start]
    axes.set_xscale("log")
    axes.set_xlim(start, 1)
    axes.set_xticks(ticks)
    axes.set_xticklabels([f"1e{round(math.log10(tick))}" if tick < 1 else "1" for tick in ticks])
    axes.xaxis.set_minor_formatter(lambda value, _: "")


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")


def _shade(axes: Axes, theme: Theme, span: tuple[float, float], words: str) -> None:
    start, end = span
    if end <= start:
        return
    axes.axvspan(start, min(end, 1), color=theme.muted, alpha=0.13, linewidth=0)
    axes.text(start * 1.06, 0.03, words, transform=axes.get_xaxis_transform(), rotation=90,
              color=theme.muted, fontsize=9, va="bottom", ha="left")  # fmt: skip


def _smallest(lines: list[Line]) -> float:
    """Where a logarithmic axis begins: at the smallest rate there is, rounded down."""
    rates = [rate for _, _, curve in lines for rate in curve.x if rate > 0]
    smallest = max(min(rates, default=1e-3), 1e-6)
    power = 10.0 ** math.floor(math.log10(smallest))
    return min(math.floor(smallest / power) * power, 0.5)


def _from(curve: Curve, start: float) -> Curve:
    """The curve from ``start`` on, which takes the place of the last point before it."""
    before = [place for place, rate in enumerate(curve.x) if rate <= start]
    first = before[-1] if before else 0
    return Curve(tuple(max(rate, start) for rate in curve.x[first:]), curve.y[first:])


def _floor(values: Iterator[float]) -> float:
    """Where an axis of per cents begins, so that the lowest value has some room below it."""
    lowest = 100 * min(values, default=0.0)
    for bottom in (98, 95, 90, 80, 60, 40, 20):
        if lowest >= bottom + 0.3 * (100 - bottom):
            return bottom
    return -1.0
