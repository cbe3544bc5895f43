"""How a download shows itself: a bar and lines on standard error, so that output stays clean."""

from __future__ import annotations

import sys
from typing import cast

import click

from facesearch.weights import Bar


def report_line(line: str) -> None:
    """Print one line on standard error."""
    click.echo(line, err=True)


def transfer_bar(label: str, total: int | None) -> Bar:
    """A bar over ``total`` bytes; redrawn seldom where nobody watches it move."""
    from tqdm import tqdm

    seconds = 0.2 if sys.stderr.isatty() else 10.0
    bar = tqdm(
        desc=label,
        total=total,
        unit="B",
        unit_scale=True,
        file=sys.stderr,
        mininterval=seconds,
        maxinterval=seconds,
    )
    return cast(Bar, bar)
