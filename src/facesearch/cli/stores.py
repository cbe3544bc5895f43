"""Which store a command means, and the stores used lately."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from facesearch import private, weights
from facesearch.addresses import EngineAddress, StoreName, parse_store
from facesearch.errors import StoreMissingError, UsageError

DEFAULT_NAME = "faces.npz"
_LATELY = 5

Command = TypeVar("Command", bound=Callable[..., Any])


def store_name(text: str) -> StoreName:
    """A store's file, as it was written, or a gallery's address."""
    named = parse_store(text)
    return named if isinstance(named, EngineAddress) else Path(text)


def store_option(command: Command) -> Command:
    """Adds ``--store`` to a command."""
    return click.option(
        "--store",
        metavar="FILE|ADDRESS",
        type=store_name,
        help=f"The store; else $FACESEARCH_STORE, else {DEFAULT_NAME} in the current folder.",
    )(command)


def choose_gallery(given: StoreName | None) -> StoreName:
    """The store's full path, or its address: as given, from the environment, or in the current
    folder.

    Raises:
        UsageError: what the environment names is no store.
    """
    return parse_store(given or os.environ.get("FACESEARCH_STORE") or DEFAULT_NAME)


def choose_store(given: StoreName | None) -> Path:
    """The same, for a command that needs a file.

    Raises:
        UsageError: it is in a search engine.
    """
    chosen = choose_gallery(given)
    if isinstance(chosen, EngineAddress):
        raise UsageError(
            f"{chosen}: this command needs a store file; facesearch pull {chosen} FILE, then name "
            "that"
        )
    return chosen


def existing_gallery(given: StoreName | None) -> StoreName:
    """``choose_gallery`` for a command that needs it to be there; names those used lately if a file
    is not.

    Raises:
        StoreMissingError: there is none.
    """
    chosen = choose_gallery(given)
    return chosen if isinstance(chosen, EngineAddress) else _existing(chosen)


def existing_store(given: StoreName | None) -> Path:
    """``choose_store`` for a command that needs it to be there.

    Raises:
        UsageError: it is in a search engine.
        StoreMissingError: there is none.
    """
    return _existing(choose_store(given))


def _existing(path: Path) -> Path:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        lately = [held for held in _lately() if _may_exist(held)]
        hint = "make one with facesearch index FOLDER"
        if lately:
            hint = f"used lately: {', '.join(lately)} (choose with --store); or {hint}"
        raise StoreMissingError(f"{path}: no store here; {hint}") from None
    except OSError:
        return path  # opening it says what is wrong
    return path


def _may_exist(held: str) -> bool:
    """Whether a store used lately is still there; nobody is asked about those elsewhere."""
    try:
        named = parse_store(held)
    except UsageError:
        return False
    return isinstance(named, EngineAddress) or os.path.exists(named)  # noqa: PTH110 - never raises


def named_gallery(argument: StoreName | None, option: StoreName | None) -> StoreName:
    """``existing_gallery`` for a command that takes it as an argument too.

    Raises:
        UsageError: both are given.
        StoreMissingError: there is none.
    """
    return existing_gallery(_one(argument, option))


def named_store(argument: StoreName | None, option: StoreName | None) -> Path:
    """``existing_store`` for a command that takes it as an argument too.

    Raises:
        UsageError: both are given, or it is in a search engine.
        StoreMissingError: there is none.
    """
    return existing_store(_one(argument, option))


def named_path(argument: StoreName | None, option: StoreName | None) -> Path:
    """``choose_store`` for a command that takes it as an argument too.

    Raises:
        UsageError: both are given, or it is in a search engine.
    """
    return choose_store(_one(argument, option))


def _one(argument: StoreName | None, option: StoreName | None) -> StoreName | None:
    if argument is not None and option is not None:
        raise UsageError(f"name one store, {argument} or --store {option}")
    return option if argument is None else argument


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


def say_store(path: StoreName) -> None:
    """Tells on standard error which store a command uses."""
    say(f"store: {path}")


def warn_of_plain(store: StoreName, target: object, soon: bool = False) -> None:
    """Tells, before anything of an encrypted store is written elsewhere, that it will be plain;
    also of one that is ``soon`` encrypted.
    """
    if soon or lies_encrypted(store):
        say(f"{store} is encrypted, what is written to {target} is not")


def lies_encrypted(store: StoreName) -> bool:
    """Whether it is an encrypted file."""
    from facesearch.store.encrypting import is_encrypted

    return isinstance(store, Path) and is_encrypted(store)


def say_plain_beside(store: Path) -> None:
    """Tells what lies beside an encrypted store and is not encrypted."""
    from facesearch.report import count, size
    from facesearch.store.encrypting import plain_beside

    for each in plain_beside(store):
        files = f"{count(each.files, 'file')}, {size(each.bytes)}"
        say(f"{each.path}: not encrypted ({files}), remove it where nobody needs it")


def warn_of_plain_output(store: StoreName) -> None:
    """``warn_of_plain`` where standard output goes to a file."""
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or no file of the system's
        return
    if stat.S_ISREG(mode):
        warn_of_plain(store, "standard output")


def remember(path: StoreName) -> None:
    """Puts the store first among those used lately; not being able to is no error."""
    lately = [str(path), *(held for held in _lately() if held != str(path))][:_LATELY]
    target = _file()
    try:
        private.make_folder(target.parent)
        private.write_file(target, json.dumps(lately).encode())
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
