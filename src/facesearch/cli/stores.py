"""Which store a command means, and the stores used lately."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from facesearch import weights
from facesearch.errors import StoreMissingError, UsageError

DEFAULT_NAME = "faces.npz"
_LATELY = 5

Command = TypeVar("Command", bound=Callable[..., Any])


def store_option(command: Command) -> Command:
    """Adds ``--store`` to a command."""
    return click.option(
        "--store",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"The store; else $FACESEARCH_STORE, else {DEFAULT_NAME} in the current folder.",
    )(command)


def choose_store(given: Path | None) -> Path:
    """The store's full path: as given, from the environment, or in the current folder."""
    named = given or os.environ.get("FACESEARCH_STORE") or DEFAULT_NAME
    return Path(named).absolute()


def existing_store(given: Path | None) -> Path:
    """The same, for a command that needs it to be there; names those used lately if it is not.

    Raises:
        StoreMissingError: there is none.
    """
    path = choose_store(given)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        lately = [held for held in _lately() if os.path.exists(held)]  # noqa: PTH110 - never raises
        hint = "make one with facesearch index FOLDER"
        if lately:
            hint = f"used lately: {', '.join(lately)} (choose with --store); or {hint}"
        raise StoreMissingError(f"{path}: no store here; {hint}") from None
    except OSError:
        return path  # opening it says what is wrong
    return path


def named_store(argument: Path | None, option: Path | None) -> Path:
    """``existing_store`` for a command that takes it as an argument too.

    Raises:
        UsageError: both are given.
        StoreMissingError: there is none.
    """
    if argument is not None and option is not None:
        raise UsageError(f"name one store, {argument} or --store {option}")
    return existing_store(argument if option is None else option)


def say(line: str) -> None:
    """Prints a line on standard error; nothing in it can steer a terminal."""
    from facesearch.report.terminal import escape

    click.echo(escape(line), err=True)


def go_on(yes: bool, cost: str) -> bool:
    """Says what long work will cost, and asks whoever sits there.

    Raises:
        UsageError: nobody does, and ``--yes`` was not given.
    """
    say(cost)
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to ask; say --yes to go on, or leave out --expand")
    return click.confirm("Go on?", err=True)


def say_store(path: Path) -> None:
    """Tells on standard error which store a command uses."""
    say(f"store: {path}")


def remember(path: Path) -> None:
    """Puts the store first among those used lately; not being able to is no error."""
    lately = [str(path), *(held for held in _lately() if held != str(path))][:_LATELY]
    target = _file()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f"{target.name}.{os.getpid()}")
        aside.write_text(json.dumps(lately))
        aside.replace(target)
    except OSError as error:
        import logging

        logging.getLogger(__name__).info("%s: stores used lately not kept: %s", target, error)


def _lately() -> list[str]:
    try:
        held = json.loads(_file().read_text())
    except (OSError, ValueError):
        return []
    return [entry for entry in held if isinstance(entry, str)] if isinstance(held, list) else []


def _file() -> Path:
    return weights.home() / "recent-stores.json"
