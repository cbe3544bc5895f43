"""How measures read in a table: "99.4 [98.9, 99.8]"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from facesearch.report.wording import size
from facesearch.results import Measure

NOTHING = "–"
Better = Literal["higher", "lower", ""]


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in a table. ``value`` orders cells of a column, ``interval`` is "98.9, 99.8" or "".

    ``best``: no other row of the column does better. ``notes`` are numbers of footnotes.
    """

    text: str
    interval: str = ""
    value: float | None = None
    best: bool = False
    notes: tuple[int, ...] = ()


def share(measure: Measure | None, digits: int = 1) -> Cell:
    """A share in per cent."""
    return _measured(measure, 100.0, digits)


def amount(measure: Measure | None, digits: int = 2) -> Cell:
    """A measure that is no share, as it is."""
    return _measured(measure, 1.0, digits)


def number(value: float | None, digits: int = 0) -> Cell:
    """A plain number, with a comma between thousands."""
    if value is None or not math.isfinite(value):
        return Cell(NOTHING)
    return Cell(f"{value:,.{digits}f}", value=value)


def seconds(value: float | None) -> Cell:
    """A time in seconds with three digits that matter."""
    if value is None or not math.isfinite(value):
        return Cell(NOTHING)
    digits = 4 if value < 0.01 else 3 if value < 1 else 2 if value < 10 else 1
    return Cell(f"{value:,.{digits}f}", value=value)


def space(number_of_bytes: int | None) -> Cell:
    """Bytes in the unit that fits."""
    if number_of_bytes is None:
        return Cell(NOTHING)
    return Cell(size(number_of_bytes), value=float(number_of_bytes))


def rate(text: str) -> str:
    """A rate as the field writes it: "0.01" is "1e-2", "0.05" stays."""
    try:
        value = float(text)
    except ValueError:
        return text
    if value > 0:
        mantissa, _, exponent = f"{value:e}".partition("e")
        if float(mantissa) == 1 and value <= 0.1:
            return f"1e{int(exponent)}"
    return f"{value:g}"


def with_best_marked(cells: Sequence[Cell], better: Better) -> list[Cell]:
    """The column with its best cells marked, where two rows differ."""
    values = {cell.value for cell in cells if cell.value is not None}
    if len(values) < 2 or not better:
        return list(cells)
    best = max(values) if better == "higher" else min(values)
    return [replace(cell, best=cell.value == best) for cell in cells]


def _measured(measure: Measure | None, factor: float, digits: int) -> Cell:
    if measure is None or not math.isfinite(measure.value):
        return Cell(NOTHING)
    value = measure.value * factor
    interval = ""
    if measure.low is not None and measure.high is not None:
        interval = f"{measure.low * factor:,.{digits}f}, {measure.high * factor:,.{digits}f}"
    return Cell(f"{value:,.{digits}f}", interval, value)
