"""The program: finds the command, runs it, and turns every error into one line and a code."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import logging
import os
import select
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facesearch import __version__
from facesearch.cli.manual import SECTIONS, summary
from facesearch.cli.passphrases import passphrase_options, passphrases
from facesearch.cli.settable import COMPLETING, settable, settable_options
from facesearch.errors import EXIT_FAILED, EXIT_INTERRUPTED, FacesearchError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "index": "index",
    "query": "query",
    "serve": "serve",
    "verify": "verify",
    "faces": "faces",
    "eval": "evaluate",
    "train": "train",
    "info": "info",
    "export": "export",
    "check": "check",
    "doctor": "doctor",
    "completion": "completion",
    "repair": "repair",
    "push": "push",
    "pull": "pull",
    "roots": "roots",
    "label": "label",
    "forget": "forget",
    "encrypt": "encrypt",
    "merge": "merge",
    "split": "split",
    "models": "models",
    "datasets": "datasets",
}
"""Command -> its file and the name of its function there."""
_ANYWHERE = ("--debug", "--keyring", "--no-settings")


class _Commands(click.Group):
    """Loads a command's file only when that command, or the list of all, is asked for."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params = settable_options(self.params, ())

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"facesearch.cli.{cmd_name}")
        return settable(getattr(module, COMMANDS[cmd_name]), (cmd_name,))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin so; no command's file is loaded for it."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=summary(name))
            for name in COMMANDS
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by task, a line each; their files are not loaded for it."""
        for task, lines in SECTIONS.items():
            with formatter.section(task):
                formatter.write_dl(list(lines.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Asks whether a command was meant that looks like the one that is not there."""
        alike = difflib.get_close_matches(args[0], COMMANDS, 1)
        if args[0] not in COMMANDS and alike:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{alike[0]}'?")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facesearch")
@click.option("--debug", is_flag=True, help="Show log messages, and tracebacks of errors.")
@click.option("--no-settings", is_flag=True, help="Read no settings file.")
@passphrase_options
@click.pass_context
def facesearch(
    context: click.Context,
    debug: bool,
    no_settings: bool,
    passphrase_file: Path | None,
    keyring: bool,
) -> None:
    """Find a person's photos in your own folders, on your own machine.

    \b
    facesearch index ~/Pictures          find every face, once
    facesearch query grandma.jpg -k 25   the 25 photos nearest to a face

    facesearch COMMAND --help has examples, and the variables that options may come from.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no face found, 4 different people (verify),
    130 interrupted.
    """  # noqa: D301 - click reads the escape
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.ERROR,
        format="%(levelname)s %(name)s: %(message)s",
    )
    context.with_resource(passphrases(context, passphrase_file, keyring))


def main() -> None:
    """Runs the command line and exits with its code."""
    with contextlib.suppress(AttributeError, ValueError):
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as cleanly as Ctrl-C
    asked = os.environ.get(COMPLETING)
    if asked:  # by a shell, for what may stand at the cursor
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(facesearch, {}, "facesearch", COMPLETING, asked))
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line; the exit code."""
    arguments = _program_options_first(arguments)
    debug = "--debug" in arguments or _wants_debug(os.environ.get("FACESEARCH_DEBUG", ""))
    try:
        # Not facesearch.main, which takes any broken pipe, a worker's too, for a reader that left.
        with facesearch.make_context("facesearch", arguments) as context:
            code = facesearch.invoke(context)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _refuse(error)
    except BaseException as error:
        if isinstance(error, BrokenPipeError) and _reader_left():
            _drop_output()
            return 0
        return _fail(error, debug)


def _wants_debug(variable: str) -> bool:
    return variable.strip().lower() in ("1", "true", "t", "yes", "y", "on")


def _refuse(error: click.ClickException) -> int:
    """Tells in one line what is wrong with the command line; the exit code."""
    from facesearch.cli.stores import say

    message = error.format_message()
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
        return error.exit_code
    context = getattr(error, "ctx", None)
    asked = context.command_path if context is not None else "facesearch"
    if message.endswith("?"):
        say(f"facesearch: {message} See {asked} --help")
    else:
        say(f"facesearch: {message.rstrip('.')}; see {asked} --help")
    return error.exit_code


def _reader_left() -> bool:
    """Whether nobody reads standard output any more, as after ``| head``."""
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def _program_options_first(arguments: list[str]) -> list[str]:
    """What every command takes counts wherever it stands, for it is added to one that failed."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    first, rest, given = [], [], iter(arguments[:end])
    for argument in given:
        if argument in _ANYWHERE or argument.startswith("--passphrase-file="):
            first.append(argument)
        elif argument == "--passphrase-file":
            first += [argument, *itertools.islice(given, 1)]
        else:
            rest.append(argument)
    return first + rest + arguments[end:]


def _fail(error: BaseException, debug: bool) -> int:
    """Tells of an error in one line; the exit code."""
    from facesearch.cli.stores import say

    if debug:
        traceback.print_exception(error)
    message, code = _message(error)
    say(f"facesearch: {message}")
    try:
        sys.stdout.flush()
    except (OSError, ValueError):  # a full disk: at exit it would be tried again, and complained of
        _drop_output()
    return code


def _message(error: BaseException) -> tuple[str, int]:
    if isinstance(error, FacesearchError):
        return str(error), error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted", EXIT_INTERRUPTED
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", EXIT_FAILED
    reason = f"{type(error).__name__}: {error}"
    return f"internal error ({reason}); --debug shows where", EXIT_FAILED


def _drop_output() -> None:
    """Sends what Python would still flush at exit nowhere, for it could not be written."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
