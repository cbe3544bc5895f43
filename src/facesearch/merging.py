"""Several stores become one, without reading a photo again.

Roots that are the same folder become one, contents with the same bytes are one, and of a file that
several stores have, in folders inside each other too, the one indexed last counts. The rows pass
from file to file a piece at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import Any

from facesearch.errors import RecipeMismatchError, UsageError
from facesearch.locations import Address
from facesearch.overlaps import rows_to_take
from facesearch.store import SINGLE_FILE_BYTES, Root, Store
from facesearch.store.assembly import Source, assemble, held_for_writing, must_not_be, write_store
from facesearch.store.forgotten import Forgotten
from facesearch.store.head import Head
from facesearch.store.passphrases import key_apart, key_written
from facesearch.store.sealing import Key


@dataclass(frozen=True, slots=True)
class MergeSummary:
    """The outcome: what ``store`` holds now. ``copies`` are photos that several of ``merged`` had;
    of those in ``unended`` a run has not ended. ``bytes`` is what its embeddings take.
    """

    store: str
    merged: tuple[str, ...]
    roots: tuple[str, ...]
    photos: int
    contents: int
    faces: int
    copies: int
    bytes: int
    unended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """``dry_run`` writes nothing; ``wait`` for another writer of the output to end."""

    dry_run: bool = False
    wait: bool = False
    single_file_bytes: int = SINGLE_FILE_BYTES


def merge(paths: Sequence[Path], output: Path, options: MergeOptions | None = None) -> MergeSummary:
    """Writes one store with all that these hold, as one index run over all their folders would
    have made it. Interrupted, it leaves nothing, and the same command does it all again.

    Args:
        paths: stores of one recipe; each counts once.
        output: a file that is not there yet, or one of ``paths``, which it then takes the place of.
        options: see ``MergeOptions``.

    Raises:
        UsageError: no store was named, or there is another file in the output's place.
        RecipeMismatchError: two of the stores were made in different ways.
        StoreError: one is missing or damaged, or the new one cannot be written; StoreBusyError:
            another process writes it.
    """
    options = options or MergeOptions()
    with _output_held(paths, output, options):
        stores = [Store.open(path) for path in _distinct(paths)]
        _require_one_recipe(stores)
        roots, known_as = join_roots(stores, Path(os.path.realpath(output)).parent)
        # The one indexed last comes first, for the first one that has a file counts.
        order = sorted(range(len(stores)), key=lambda index: stores[index].indexed_at, reverse=True)
        newest, known_as = [stores[index] for index in order], [known_as[index] for index in order]
        taken = rows_to_take(newest, roots, known_as)
        forgotten = _forgotten(newest)
        made = assemble(
            list(map(Source, newest, known_as, taken)), partial(must_not_be, forgotten=forgotten)
        )
        if not options.dry_run:
            head = _head_of(newest, roots)
            key = _key_of(stores, output)
            write_store(output, head, made, options.single_file_bytes, key)
            if key is not None:
                key_written(key)
    return MergeSummary(
        store=str(output),
        merged=tuple(str(store.path) for store in stores),
        roots=tuple(root.path for root in roots),
        photos=made.counts.files,
        contents=made.counts.contents,
        faces=made.counts.faces,
        copies=sum(len(store.files) for store in stores) - made.counts.files,
        bytes=made.embedding_bytes,
        unended=tuple(str(store.path) for store in stores if store.head.run is not None),
    )


def _key_of(stores: Sequence[Store], output: Path) -> Key | None:
    """What the output is encrypted with: as it is itself, else a key of its own under
    the passphrase of the first that was named.
    """
    own = [store.key for store in stores if store.key and _same(store.path, output)]
    if own:
        return own[0]
    keys = (store.key for store in stores if store.key)
    return next((key_apart(key, output) for key in keys), None)


@contextmanager
def _output_held(paths: Sequence[Path], output: Path, options: MergeOptions) -> Iterator[None]:
    """Holds the output, after it was made sure that it may be written."""
    _require_free(paths, output)
    if options.dry_run:
        yield
        return
    with held_for_writing(output, options.wait):
        _require_free(paths, output)  # another process may have come first
        yield


def _require_free(paths: Sequence[Path], output: Path) -> None:
    if not paths:
        raise UsageError("name the stores to merge")
    if os.path.lexists(output) and not any(_same(path, output) for path in paths):
        raise UsageError(
            f"{output}: is there already; choose another name, or name it among the stores to "
            "merge, then it takes in the others"
        )


def _same(path: Path, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _distinct(paths: Iterable[Path]) -> list[Path]:
    return list({os.path.realpath(path): path for path in paths}.values())


def _require_one_recipe(stores: Sequence[Store]) -> None:
    first, *others = stores
    for store in others:
        if store.recipe.recipe_digest != first.recipe.recipe_digest:
            differing = first.recipe.differences(store.recipe)
            raise RecipeMismatchError(
                f"{first.path} and {store.path}: made in different ways ({differing}); only "
                "stores of one recipe become one"
            )


@dataclass(slots=True)
class _Folder:
    """A root as the stores know it. ``now`` is where it lies, "" when it is away; ``paths`` are its
    absolute names, ``ways`` what it is called seen from its stores, when it is away.
    """

    root: Root
    now: str
    paths: set[str]
    ways: set[str]
    stores: set[int]

    def is_one_with(self, other: _Folder) -> bool:
        """Whether it is the same folder; what one store keeps apart stays apart."""
        if self.stores & other.stores:
            return False
        if self.now and other.now:
            return self.now == other.now
        away = not self.now and not other.now
        return bool(self.paths & other.paths) or (away and bool(self.ways & other.ways))


def join_roots(stores: Sequence[Store], home: Path) -> tuple[tuple[Root, ...], list[list[int]]]:
    """The roots of all stores for one in the folder ``home``, and for each store which of them its
    own become.

    Two are one where their absolute paths are the same, or lead to the same place now; where none
    of them is there, also where they lie in the same place seen from their stores.
    """
    folders: list[_Folder] = []
    known_as: list[list[int]] = []
    for number, store in enumerate(stores):
        found = []
        for root in store.roots:
            folder = _folder(root, number, store.folder, home)
            place = next((i for i, held in enumerate(folders) if held.is_one_with(folder)), None)
            if place is None:
                place = len(folders)
                folders.append(folder)
            else:
                _take_in(folders[place], folder)
            found.append(place)
        known_as.append(found)
    return tuple(replace(each.root, id=index) for index, each in enumerate(folders)), known_as


def _folder(root: Root, store: int, store_folder: Path, home: Path) -> _Folder:
    now = root.resolve(store_folder)
    if isinstance(now, Address):
        return _Folder(root, root.path, {root.path}, set(), {store})
    way = os.path.abspath(store_folder / root.relative)
    if os.path.lexists(now):
        real = os.path.realpath(now)
        return _Folder(Root.at(now, home), real, {root.path, str(now), real}, set(), {store})
    moved = replace(Root.at(Path(way), home), path=root.path)
    return _Folder(moved, "", {root.path}, {way, *_names(root.relative)}, {store})


def _names(relative: str) -> set[str]:
    """The way from the store as a name, where it has one: ".." says nothing of a folder."""
    return set() if Path(relative).name in ("", "..") else {relative}


def _take_in(held: _Folder, other: _Folder) -> None:
    if other.now and not held.now:
        held.root, held.now = other.root, other.now
    held.paths |= other.paths
    held.ways |= other.ways
    held.stores |= other.stores


def _head_of(stores: Sequence[Store], roots: tuple[Root, ...]) -> Head:
    """What the new store says of itself; of what people entered and chose, the first says most."""
    entered: dict[str, Any] = {}
    for store in reversed(stores):
        entered = _joined(entered, store.head.entered)
    entered = _forgotten(stores).into(entered)
    return Head(
        recipe=stores[0].recipe,
        roots=roots,
        next_root=len(roots),
        options=_options(stores),
        indexed_at=stores[0].indexed_at,
        entered=entered,
    )


def _forgotten(stores: Sequence[Store]) -> Forgotten:
    """What one of them has forgotten, the others do not bring back."""
    return reduce(Forgotten.plus, (store.forgotten for store in stores), Forgotten())


def _options(stores: Sequence[Store]) -> dict[str, Any]:
    """Those of the first; a pattern that not all have would leave out photos that one holds."""
    options = stores[0].options
    if "exclude" in options:
        others = [store.options.get("exclude", []) for store in stores[1:]]
        options["exclude"] = [
            pattern for pattern in options["exclude"] if all(pattern in held for held in others)
        ]
    return options


def _joined(older: dict[str, Any], newer: dict[str, Any]) -> dict[str, Any]:
    """Both, at every depth; where they differ, the newer."""
    joined = older | newer
    for name in older.keys() & newer.keys():
        if isinstance(older[name], dict) and isinstance(newer[name], dict):
            joined[name] = _joined(older[name], newer[name])
    return joined
