"""What the shell may put for a word: store files, systems, models, people; nothing heavy."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from facesearch.cli.settable import COMPLETING
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.addresses import StoreName

_NPY_START = 10
_MOST_META = 32 << 20
_MOST_FOLDERS = 20_000
_SPECIAL = re.compile(r"[^\w@%+=:,./-]")
_PATTERN = re.compile(r"[*?\[\]\\]")


def words_for(
    parameter: click.Parameter, ctx: click.Context, incomplete: str
) -> list[CompletionItem] | None:
    """What may stand for an option's value or an argument; None where click knows it."""
    if isinstance(parameter.type, click.Choice | click.Path):
        return None
    wanted = _wanted(parameter, ctx)
    if wanted == "store":
        return _stores(incomplete)
    if wanted in ("file", "dir"):
        return [CompletionItem(incomplete, type=wanted)]
    names = {"system": _systems, "model": _models, "weights": _weights, "dataset": _datasets}
    if wanted in names:
        return _beginning(names[wanted](), incomplete)
    if wanted == "person":
        return _beginning(_people(ctx.params.get("store")), incomplete)
    return None


def _wanted(parameter: click.Parameter, ctx: click.Context) -> str:
    if isinstance(parameter, click.Option):
        options = {"--under": "dir", "--like": "file", "--output": "file"}
        named = ("--store", "--system", "--model", "--person")
        options |= {name: name[2:] for name in named}
        return next((options[name] for name in parameter.opts if name in options), "")
    if "STORE" in (parameter.metavar or ""):
        return "store"
    groups = {"models": "weights", "datasets": "dataset"}
    group = ctx.parent.info_name if ctx.parent is not None else None
    names = parameter.name in ("name", "names") and group in groups
    return groups[str(group)] if names else "file"


def _stores(incomplete: str) -> list[CompletionItem]:
    """Store files that begin so; the shell's own completion where there is none, as in folders."""
    folder, _, start = incomplete.rpartition("/")
    place = Path(f"{folder}/" if folder or incomplete.startswith("/") else ".")
    with_folder = incomplete[: len(incomplete) - len(start)]
    try:
        names = [entry.name for entry in os.scandir(os.path.expanduser(place))]  # noqa: PTH111
    except OSError:
        names = []
    found = [f"{with_folder}{name}" for name in sorted(names) if _is_store(name, start)]
    if not found or any(map(_SPECIAL.search, found)):  # the shell knows how to quote a file's name
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(name) for name in found]


def _is_store(name: str, start: str) -> bool:
    hidden = name.startswith(".") and not start
    return name.startswith(start) and name.endswith(".npz") and not hidden


def _systems() -> Iterable[str]:
    from facesearch.systems import ALL, SYSTEMS

    return [*SYSTEMS, ALL]


def _models() -> Iterable[str]:
    return [name for name in _weights() if name.startswith("facenet")]


def _weights() -> Iterable[str]:
    from facesearch import weights

    return weights.names()


def _datasets() -> Iterable[str]:
    from facesearch.datasets import KNOWN

    return [dataset.name for dataset in KNOWN]


def _people(store: StoreName | None) -> Iterator[str]:
    """The labels of a store and the folders in its roots, after which photos are named; none of a
    store that has to be opened with a passphrase, or through a network.
    """
    from facesearch.cli.stores import choose_gallery

    try:
        chosen = choose_gallery(store)
        meta = _meta(chosen) if isinstance(chosen, Path) else {}
        yield from meta.get("entered", {}).get("labels", {}).values()
        for root in meta.get("roots", []):
            with os.scandir(root["path"]) as entries:
                folders = (each.name for each in entries if each.is_dir())
                yield from itertools.islice(folders, _MOST_FOLDERS)
    except (OSError, UsageError, ValueError, LookupError, AttributeError, TypeError):
        return  # no store, or no sound one: a word is no place to say so


def _meta(path: Path) -> dict[str, Any]:
    """What describes a store, read without numpy."""
    import zipfile

    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as store:
        if store.getinfo("meta.npy").file_size > _MOST_META:
            return {}
        raw = store.read("meta.npy")
    header = int.from_bytes(raw[_NPY_START - 2 : _NPY_START], "little")
    found: dict[str, Any] = json.loads(raw[_NPY_START + header :])
    return found


def _beginning(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    found = {name for name in names if name.startswith(incomplete) and _is_plain(name)}
    return [CompletionItem(_quoted(name)) for name in sorted(found)]


def _is_plain(name: str) -> bool:
    """Whether no shell's script reads it as a pattern, or as several lines."""
    return name.isprintable() and not _PATTERN.search(name)


def _quoted(name: str) -> str:
    """For bash, which puts a word down as it is, so that a stranger's folder must not be a command;
    other shells quote it themselves. The script reads one of two backslashes as its own.
    """
    if not os.environ.get(COMPLETING, "").startswith("bash"):
        return name
    return _SPECIAL.sub(lambda match: f"\\\\{match[0]}", name)
