"""``--copy-to`` and ``--link-to``: the photos of an answer in a folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import say, warn_of_plain
from facesearch.errors import EXIT_FAILED, UsageError

if TYPE_CHECKING:
    from facesearch.collecting import Chosen, Collected, CollectOptions

_OPTIONS = (
    click.option(
        "--copy-to",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Copy the neighbours' photos into this folder; nothing there is replaced.",
    ),
    click.option(
        "--link-to",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The same with symbolic links.",
    ),
    click.option(
        "--beyond-cut",
        is_flag=True,
        help="With --copy-to or --link-to: take unlikely rows too.",
    ),
    click.option(
        "--dry-run",
        is_flag=True,
        help="With --copy-to or --link-to: say what would be done, do nothing.",
    ),
)


def taking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which gets one argument ``taking`` for them: a function of
    ``offline`` that gives ``CollectOptions``, or None.
    """

    @wraps(command)
    def wrapped(**given: Any) -> Any:
        names = ("copy_to", "link_to", "beyond_cut", "dry_run")
        return command(taking=_taking(*(given.pop(name) for name in names)), **given)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


Taking = Callable[[bool], "CollectOptions"]


def _taking(
    copy_to: Path | None, link_to: Path | None, beyond_cut: bool, dry_run: bool
) -> Taking | None:
    folder = copy_to or link_to
    if copy_to is not None and link_to is not None:
        raise UsageError("--copy-to and --link-to exclude each other; name one folder")
    if folder is None:
        if beyond_cut or dry_run:
            option = "--beyond-cut" if beyond_cut else "--dry-run"
            raise UsageError(f"{option} goes with --copy-to DIR or --link-to DIR")
        return None

    def options(offline: bool) -> CollectOptions:
        from facesearch.collecting import CollectOptions

        how = "link" if copy_to is None else "copy"
        return CollectOptions(folder, how, beyond_cut, dry_run, offline)  # type: ignore[arg-type]

    return options


def prepare(store: StoreName, options: CollectOptions) -> None:
    """Makes sure of the folder before a search is done for it.

    Raises:
        FacesearchError: it is none.
    """
    from facesearch.collecting import require_folder

    if not options.dry_run and options.how == "copy":
        warn_of_plain(store, options.folder)
    require_folder(options)


def take(chosen: Chosen, options: CollectOptions) -> int:
    """Takes the photos and says what was done; the exit code.

    Raises:
        FacesearchError: the folder cannot be written.
    """
    from facesearch.collecting import collect

    done = []
    for each in collect(chosen.neighbors, options):
        done.append(each)
        _tell_one(each, options)
    _tell_all(done, chosen.beyond, options)
    return EXIT_FAILED if any(each.state == "failed" for each in done) else 0


def _tell_one(each: Collected, options: CollectOptions) -> None:
    if each.state == "failed":
        say(f"facesearch: not taken: {each.why}")
        return
    renamed = Path(each.photo).name != Path(each.target).name
    if options.dry_run and each.state == "taken":
        verb = "link" if options.how == "link" else "copy"
        say(f"would {verb} {each.photo} -> {each.target}")
    elif renamed and each.state == "taken":
        say(f"{each.photo} -> {each.target}: another photo has that name")


def _tell_all(done: list[Collected], beyond: int, options: CollectOptions) -> None:
    from facesearch.report import count

    states = [each.state for each in done]
    verb = "linked" if options.how == "link" else "copied"
    would = "would be " if options.dry_run else ""
    parts = [f"{count(states.count('taken'), 'photo')} {would}{verb} to {options.folder}"]
    if there := states.count("there"):
        parts.append(f"{there:,} there already")
    if failed := states.count("failed"):
        parts.append(f"{failed:,} not taken")
    if beyond:
        parts.append(f"{beyond:,} unlikely left out (--beyond-cut takes them)")
    say(", ".join(parts))
