"""Options that are numbers."""

from __future__ import annotations

import math

import click


def number(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuses nan, which click's ranges let through."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not a number")
    return value
