"""Where the command line gets the passphrase of an encrypted store from."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from facesearch.errors import StoreLockedError, UsageError

_SERVICE = "facesearch"
_PROBE = "no key"
_TRIES = 3
_LONGEST = 4096  # bytes of a passphrase in a file
_HOW = "give --passphrase-file FILE, set $FACESEARCH_PASSPHRASE_FILE, or add --keyring"


def passphrase_options(command: Any) -> Any:
    """Adds ``--passphrase-file`` and ``--keyring`` to the program."""
    for option in (
        click.option(
            "--keyring", is_flag=True, help="Take its passphrase from the keyring, or put it there."
        ),
        click.option(
            "--passphrase-file",
            type=click.Path(dir_okay=False, path_type=Path),
            envvar="FACESEARCH_PASSPHRASE_FILE",
            metavar="FILE",
            help="The passphrase of an encrypted store is this file's first line; else it is asked "
            "for.",
        ),
    ):
        command = option(command)
    return command


@contextlib.contextmanager
def passphrases(program: click.Context, file: Path | None, keyring: bool) -> Iterator[None]:
    """Encrypted stores that are opened inside get their passphrases so.

    Args:
        program: the context of the whole program, which knows what was given as an option.
        file: it holds the passphrase; one that only the environment names gives way to an option.
        keyring: whether the keyring has it.

    Raises:
        UsageError: both were given.
    """
    if keyring and _given(program, "passphrase_file"):
        raise UsageError("--passphrase-file and --keyring exclude each other; leave one out")
    if keyring:
        file = None
    from facesearch.store.passphrases import Keys, unlocking

    source = _File(file) if file is not None else _Keyring() if keyring else _Person()
    with unlocking(Keys(source)):
        yield


def passphrase_wish() -> str:
    """The option that says where this command's passphrase is; "" where none does, whatever the
    environment says.
    """
    program = click.get_current_context().find_root()
    options = {"passphrase_file": "--passphrase-file", "keyring": "--keyring"}
    return next((name for key, name in options.items() if _given(program, key)), "")


def _given(program: click.Context, name: str) -> bool:
    return program.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


class _File:
    """The first line of a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def of_store(self, path: Path, key_id: bytes, attempt: int) -> str:
        if attempt:
            raise StoreLockedError(
                f"{path}: the passphrase in {self._file} is wrong; give another --passphrase-file"
            )
        return self._line

    def for_new(self, path: Path, other: bool) -> str:
        return _Person().for_new(path, other) if other else self._line  # it has the old one

    def keep(self, key_id: bytes, passphrase: str) -> None:
        pass

    @cached_property
    def _line(self) -> str:
        """Read once, for it may be a pipe."""
        try:
            with self._file.open("rb") as file:
                shared = os.name != "nt" and os.fstat(file.fileno()).st_mode & 0o077
                line = file.readline(_LONGEST).rstrip(b"\r\n").decode("utf-8-sig")
        except OSError as error:
            raise StoreLockedError(
                f"{self._file}: the passphrase cannot be read ({error.strerror}); {_HOW}"
            ) from error
        except UnicodeDecodeError:
            raise StoreLockedError(
                f"{self._file}: the passphrase is no UTF-8 text; write it so"
            ) from None
        if not line:
            raise StoreLockedError(
                f"{self._file}: its first line is empty; write the passphrase there"
            )
        if shared and self._file.is_file():
            from facesearch.cli.stores import say

            say(f"{self._file}: others may read this passphrase; run chmod 600 on it")
        return line


class _Person:
    """Whoever sits at the terminal."""

    def of_store(self, path: Path, key_id: bytes, attempt: int) -> str:
        if attempt == _TRIES:
            raise StoreLockedError(
                f"{path}: wrong passphrase, {_TRIES} times; run the command again"
            )
        if attempt:
            click.echo("wrong passphrase, try again", err=True)
        return self._asked(path, f"Passphrase of {path.name}", confirm=False)

    def for_new(self, path: Path, other: bool) -> str:
        if _at_terminal():
            click.echo(
                "Nobody can open the store without its passphrase, nor bring it back.", err=True
            )
        return self._asked(path, f"New passphrase for {path.name}", confirm=True)

    def keep(self, key_id: bytes, passphrase: str) -> None:
        pass

    def _asked(self, path: Path, question: str, confirm: bool) -> str:
        if not _at_terminal():
            raise StoreLockedError(f"{path}: no passphrase, and nobody is there to ask; {_HOW}")
        from facesearch.report.terminal import escape

        answer: str = click.prompt(
            escape(question), hide_input=True, confirmation_prompt=confirm, err=True
        )
        return answer


class _Keyring(_Person):
    """The system's keyring; what it does not have a person is asked for, once."""

    def __init__(self) -> None:
        self._found: dict[bytes, str] = {}

    def of_store(self, path: Path, key_id: bytes, attempt: int) -> str:
        found = None if attempt else _keyring("get_password", key_id.hex())
        if found is None:
            return super().of_store(path, key_id, attempt)
        self._found[key_id] = found
        return found

    def for_new(self, path: Path, other: bool) -> str:
        _keyring("get_password", _PROBE)  # one that cannot be used is told before anybody types
        return super().for_new(path, other)

    def keep(self, key_id: bytes, passphrase: str) -> None:
        if self._found.get(key_id) != passphrase:
            _keyring("set_password", key_id.hex(), passphrase)


def _keyring(action: str, *arguments: str) -> str | None:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise UsageError(
            "--keyring needs a library that is not installed; install it with: pip install keyring"
        ) from None
    try:
        found: str | None = getattr(keyring, action)(_SERVICE, *arguments)
    except keyring.errors.KeyringError as error:
        raise StoreLockedError(
            f"the keyring cannot be used ({error}); leave out --keyring, or give --passphrase-file"
        ) from error
    return found
