"""A part of a store becomes a store of its own, or all of it several, which ``merging`` undoes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facesearch.errors import UsageError
from facesearch.gallery.places import Places
from facesearch.locations import is_address
from facesearch.store import SINGLE_FILE_BYTES, Store, StoreWriter
from facesearch.store.assembly import Source, assemble, held_for_writing, write_store
from facesearch.store.columns import Ints
from facesearch.store.compaction import Merge
from facesearch.store.head import Head, Root
from facesearch.store.passphrases import key_apart, key_written

_FACE_WEIGHT = 16  # a face counts so many times as much as a photo without one


@dataclass(frozen=True, slots=True)
class SplitPart:
    """One of the stores that were written."""

    store: str
    photos: int
    contents: int
    faces: int


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """The outcome: the ``parts``, and how many photos the ``store`` has not any more."""

    store: str
    parts: tuple[SplitPart, ...]
    removed: int = 0


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """``remove``: what went into a store of its own leaves the old one. ``dry_run`` writes nothing;
    ``wait`` for another writer to end.
    """

    remove: bool = False
    dry_run: bool = False
    wait: bool = False
    single_file_bytes: int = SINGLE_FILE_BYTES


def split_under(
    path: Path, folders: Sequence[str], output: Path, options: SplitOptions | None = None
) -> SplitSummary:
    """Writes a store of the photos below some folders.

    What is to be removed is, when the new store is complete; interrupted before, the old one is
    as it was.

    Args:
        path: the store.
        folders: as ``query`` takes them with ``--under``.
        output: the new store's file, which must not be there yet.
        options: see ``SplitOptions``.

    Raises:
        UsageError: no photo is below a folder, or the output is there.
        StoreError: the store is missing or damaged, or one cannot be written; StoreBusyError:
            another process writes it.
    """
    options = options or SplitOptions()
    with ExitStack() as held:
        store = Store.open(path)
        writer = None
        if options.remove and not options.dry_run:
            writer = held.enter_context(_writer_of(path, store, options))
            store = writer.store
        below = Places(store).below(folders)
        rows = np.arange(len(store.files)) if below is None else np.flatnonzero(below)
        (part,) = _write(store, [(output, rows)], options, even=False)
        if writer is None:
            return SplitSummary(str(path), (part,))
        for row in rows.tolist():
            writer.remove(int(store.files.root[row]), store.files.path(row))
        writer.finish()
    return SplitSummary(str(path), (part,), len(rows))


def split_evenly(
    path: Path, parts: int, output: Path, options: SplitOptions | None = None
) -> SplitSummary:
    """Writes so many stores with about as many faces each: ``name-1.npz``, ``name-2.npz`` and so on
    for the output ``name.npz``. The old one stays; ``merge`` makes it again out of them.

    Raises:
        UsageError: it cannot be cut into so many, or one of the new files is there.
        StoreError: as for ``split_under``.
    """
    options = options or SplitOptions()
    store = Store.open(path)
    if not 1 <= parts <= max(1, len(store.files)):
        raise UsageError(
            f"{path}: {len(store.files):,} photos cannot be cut into {parts:,} stores; ask for "
            "fewer"
        )
    digits = len(str(parts))
    outputs = [
        output.with_name(f"{output.stem}-{number:0{digits}}{output.suffix}")
        for number in range(1, parts + 1)
    ]
    pieces = list(zip(outputs, _even_pieces(store, parts), strict=True))
    return SplitSummary(str(path), tuple(_write(store, pieces, options, even=True)))


def parts_of(path: Path, faces: int) -> int:
    """How many stores of about so many faces a store makes.

    Raises:
        StoreError: it is missing or damaged.
    """
    store = Store.open(path)
    return max(1, min(-(-len(store.faces) // faces), len(store.files)))


def _writer_of(path: Path, store: Store, options: SplitOptions) -> StoreWriter:
    return StoreWriter.open(
        path, store.recipe, wait=options.wait, single_file_bytes=options.single_file_bytes
    )


def _even_pieces(store: Store, parts: int) -> list[Ints]:
    """The files in order, cut where the faces of new contents reach the next share."""
    content = store.files.content
    _, first = np.unique(content, return_index=True)
    weights = np.ones(len(content), np.int64)
    weights[first] += _FACE_WEIGHT * store.contents.table.lengths("face", content[first])
    ends = np.cumsum(weights)
    total = int(ends[-1]) if len(ends) else 0
    shares = [total * number // parts for number in range(1, parts)]
    cuts = np.searchsorted(ends, shares, side="right")
    return list(np.split(np.arange(len(content)), cuts))


def _write(
    store: Store, pieces: Sequence[tuple[Path, Ints]], options: SplitOptions, even: bool
) -> list[SplitPart]:
    """Writes the pieces; when one fails, those before go too."""
    for output, _ in pieces:
        _require_free(output)
    done: list[SplitPart] = []
    with ExitStack() as undo:
        for index, (output, rows) in enumerate(pieces):
            head, made = _piece(store, rows, output, all_roots=even and index == 0)
            if not options.dry_run:
                key = store.key and key_apart(store.key, output)
                with held_for_writing(output, options.wait):
                    _require_free(output)
                    write_store(output, head, made, options.single_file_bytes, key)
                if key is not None:
                    key_written(key)
                undo.callback(_discard, output)
            counts = made.counts
            done.append(SplitPart(str(output), counts.files, counts.contents, counts.faces))
        undo.pop_all()
    return done


def _require_free(output: Path) -> None:
    if os.path.lexists(output):
        raise UsageError(f"{output}: is there already; choose another name, or delete it")


def _discard(output: Path) -> None:
    from facesearch.store.layout import Layout

    Layout(output).discard()


def _piece(store: Store, rows: Ints, output: Path, all_roots: bool) -> tuple[Head, Merge]:
    """What is written for some files; a root of which none is among them is left out; with
    ``all_roots`` those that have no photo at all are kept.
    """
    here = np.bincount(store.files.root[rows], minlength=len(store.roots)) > 0
    if all_roots:
        here |= np.bincount(store.files.root, minlength=len(store.roots)) == 0
    home = Path(os.path.realpath(output)).parent
    kept = np.flatnonzero(here).tolist()
    numbers = np.full(len(here), -1, np.int64)
    numbers[kept] = np.arange(len(kept))
    head = replace(
        store.head,
        roots=tuple(_moved(store, old, new, home) for new, old in enumerate(kept)),
        next_root=len(kept),
        run=None,
        derived={},
    )
    return head, assemble([Source(store, numbers.tolist(), rows)])


def _moved(store: Store, old: int, new: int, home: Path) -> Root:
    """A root as a store in another folder remembers it."""
    root = store.roots[old]
    if home == store.folder or is_address(root.path):
        return replace(root, id=new)
    way = Root.at(Path(os.path.abspath(store.folder / root.relative)), home)
    return Root(root.path, way.relative, new)
