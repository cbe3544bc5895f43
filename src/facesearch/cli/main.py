"""The program: finds the command, runs it, and turns every error into one line and a code."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import traceback
from importlib import import_module

import click

from facesearch import __version__
from facesearch.errors import EXIT_FAILED, EXIT_INTERRUPTED, FacesearchError

COMMANDS = {
    "index": "index",
    "query": "query",
    "info": "info",
    "check": "check",
    "roots": "roots",
    "models": "models",
    "datasets": "datasets",
}
"""Command -> its file and the name of its function there."""


class _Commands(click.Group):
    """Loads a command's file only when that command, or the list of all, is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"facesearch.cli.{cmd_name}")
        command: click.Command = getattr(module, COMMANDS[cmd_name])
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facesearch")
@click.option("--debug", is_flag=True, help="Show log messages, and tracebacks of errors.")
def facesearch(debug: bool) -> None:
    """Find a person's photos in your own folders, on your own machine.

    \b
    facesearch index ~/Pictures          find every face, once
    facesearch query grandma.jpg -k 25   the 25 photos nearest to a face

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no face found, 130 interrupted.
    """  # noqa: D301 - click reads the escape
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.ERROR,
        format="%(levelname)s %(name)s: %(message)s",
    )


def main() -> None:
    """Runs the command line and exits with its code."""
    with contextlib.suppress(AttributeError, ValueError):
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as cleanly as Ctrl-C
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line; the exit code."""
    debug = "--debug" in arguments
    try:
        code = facesearch.main(arguments, prog_name="facesearch", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except FacesearchError as error:
        return _fail(str(error), error.exit_code, debug)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", EXIT_INTERRUPTED, debug)
    except BrokenPipeError:
        # The reader (head, less) left; what else Python would flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(str(error), EXIT_FAILED, debug)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return _fail(f"internal error ({reason}); --debug shows where", EXIT_FAILED, debug)


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    from facesearch.report.terminal import escape

    click.echo(f"facesearch: {escape(message)}", err=True)
    return code
