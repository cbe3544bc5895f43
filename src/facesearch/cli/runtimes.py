"""Options of every command that runs the networks: on what, and how closely photos are searched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def runtime_choices(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --device, --runtime and --precision."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "gpu"]),
        default="auto",
        show_default=True,
        help="What the networks run on.",
    ),
    click.option(
        "--runtime",
        type=click.Choice(["auto", "onnx", "tensorflow"]),
        default="auto",
        show_default=True,
        help="What runs the networks: ONNX Runtime where it has them, else TensorFlow.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "int8", "float32"]),
        default="auto",
        show_default=True,
        help="Of the embedding network; auto is the fastest that loses nothing here.",
    ),
)

detail_choice = click.option(
    "--detail",
    type=click.Choice(["normal", "high"]),
    help="high searches photos at full size for faces from 20 pixels up, as in group photos.",
)
"""Adds --detail."""
