"""One photo more, or one less, under a key that the caller chose.

The photos lie as files in a folder beside the store, which is one of its roots: later runs find
them there as they find all others.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facesearch import private
from facesearch.errors import PhotoError, StoreError, UsageError
from facesearch.locations import key_below
from facesearch.records import PhotoEntry, PhotoResult
from facesearch.store import Root, Store, StoreWriter
from facesearch.store.reader import real_location

KEY = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,63}){0,7}"
"""What a key may be: names of letters, digits, ".", "_" and "-", with "/" between them."""
_KEY = re.compile(KEY)


class Processor(Protocol):
    """Reads a photo's file as an index run does."""

    def process(self, path: str) -> PhotoResult:
        """What became of it."""


@dataclass(frozen=True, slots=True)
class Added:
    """A photo under its key: the ``id`` of the photo in answers, where it lies, how many faces."""

    key: str
    id: str
    path: str
    faces: int


def add(store: Path, processor: Processor, photo: bytes, key: str, wait: bool = False) -> Added:
    """Puts a photo into the store; one that is there under this key is replaced.

    Args:
        store: its file.
        processor: finds and embeds faces by the store's recipe.
        photo: the content of a photo's file.
        key: see ``KEY``.
        wait: for another writer to end.

    Raises:
        UsageError: no key can be such, the store is encrypted, or the photo was forgotten.
        PhotoError: the photo cannot be used.
        StoreError: the store cannot be written; StoreBusyError: another process writes it.
    """
    held, folder = _opened(store, key)
    target = folder / key
    with _beside(target, photo, key) as incoming:
        result = processor.process(str(incoming))
        if result.failure is not None:
            said = result.failure.message.removeprefix(f"{incoming}: ")
            raise PhotoError(result.failure.reason, f"{key}: {said}")
        with StoreWriter.open(store, held.recipe, wait=wait) as writer:
            kept = writer.store.forgotten.kept(result, held.recipe.recipe_digest)
            if kept is None:
                raise UsageError(
                    f"{key}: this photo was forgotten; facesearch forget --allow lets it come back"
                )
            root, place = _place(writer, folder, key)
            incoming.replace(target)
            facts = target.stat()
            writer.put((root, PhotoEntry(place, facts.st_size, facts.st_mtime_ns)), kept)
            _commit(writer)
    return Added(key, kept.content_hash.hex()[:16], str(target), len(kept.faces))


def remove(store: Path, key: str, wait: bool = False) -> bool:
    """Takes a photo out of the store again and deletes its file; whether there was one.

    Raises:
        UsageError, StoreError: as ``add``.
    """
    held, folder = _opened(store, key)
    target = folder / key
    if not target.is_file():
        return False
    with StoreWriter.open(store, held.recipe, wait=wait) as writer:
        root, place = _place(writer, folder, key)
        writer.remove(root, place)
        if writer.store.head.run is None:
            writer.finish()  # its rows leave the disk too
        else:
            _commit(writer)
        target.unlink(missing_ok=True)
    return True


def folder_of(store: Path) -> Path:
    """Where the photos of a store lie that were added under keys."""
    location = real_location(store)
    return location.with_name(f"{location.name}.photos")


def _opened(store: Path, key: str) -> tuple[Store, Path]:
    if not _KEY.fullmatch(key):
        raise UsageError(
            f"{key[:80]!r}: a key is made of letters, digits, '.', '_' and '-', with '/' between "
            "its parts, none of which begins with '.' or '-'"
        )
    held = Store.open(store)
    if held.key is not None:
        raise UsageError(
            f"{store}: encrypted, and a photo added under a key would lie in plain beside it; put "
            "it into a folder of yours and index that"
        )
    folder = folder_of(store)
    _require_no_link(folder, (folder / key).parent)
    return held, folder


def _require_no_link(folder: Path, place: Path) -> None:
    """A store may come from somebody else, with links to where its new owner keeps other files.

    Raises:
        UsageError: what is written or deleted there would lie elsewhere.
    """
    real = Path(os.path.realpath(folder.parent), folder.name)
    if os.path.realpath(place) != str(real / place.relative_to(folder)):
        raise UsageError(f"{place}: a link leads elsewhere; put a folder in its place")


@contextmanager
def _beside(target: Path, photo: bytes, key: str) -> Iterator[Path]:
    """The photo's file while it is looked at, on its way to ``target``."""
    incoming = target.with_name(f".{secrets.token_hex(8)}.incoming")
    try:
        private.make_folder(target.parent)
        private.write_file(incoming, photo)
        if target.is_dir():
            raise UsageError(f"{key}: other keys begin with it; choose another")
    except (NotADirectoryError, FileExistsError) as error:
        raise UsageError(f"{key}: part of it is the key of a photo; choose another") from error
    except OSError as error:
        raise StoreError(f"{target}: cannot be written ({error.strerror})") from error
    try:
        yield incoming
    finally:
        incoming.unlink(missing_ok=True)


def _place(writer: StoreWriter, folder: Path, key: str) -> tuple[int, str]:
    """(root, relative path) of a key; the folder becomes a root where it lies in none."""
    home = writer.store.folder
    for number, root in enumerate(writer.roots):
        below = key_below(root.resolve(home), folder)
        if below is not None:
            return number, f"{below}/{key}" if below else key
    writer.set_roots([*writer.roots, Root.at(folder, home)])
    return len(writer.roots) - 1, key


def _commit(writer: StoreWriter) -> None:
    """A run that was interrupted stays to be gone on with."""
    run = writer.store.head.run
    writer.commit((run.done, run.total) if run else None)
