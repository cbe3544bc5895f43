"""Options of every command that runs the networks: on what, and how closely photos are searched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from facesearch.recipes import DETAILS
from facesearch.runtimes import DEVICES, PRECISIONS, RUNTIMES

_CHOICES = {
    "--device": (DEVICES, "What the networks run on."),
    "--runtime": (
        ("auto", *RUNTIMES),
        "What runs the networks: ONNX Runtime where it has them, else TensorFlow.",
    ),
    "--precision": (
        PRECISIONS,
        "Of the embedding network; auto is the fastest that loses nothing here.",
    ),
}


def runtime_choices(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --device, --runtime and --precision."""
    return _with_choices(command, tuple(_CHOICES))


def detector_choices(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --device and --runtime: the detector has one precision."""
    return _with_choices(command, ("--device", "--runtime"))


def _with_choices(command: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    for name in reversed(names):
        known, help_ = _CHOICES[name]
        choice = click.Choice(known)
        command = click.option(name, type=choice, default="auto", show_default=True, help=help_)(
            command
        )
    return command


detail_choice = click.option(
    "--detail",
    type=click.Choice(DETAILS),
    help="high searches photos at full size for faces from 20 pixels up, as in group photos.",
)
"""Adds --detail."""
