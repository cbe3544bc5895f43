"""The job of forgetting from top to bottom: choose, show, ask, write the store anew, clear the
caches.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from facesearch import weights
from facesearch.addresses import EngineAddress, StoreName
from facesearch.datasets import identity
from facesearch.errors import StoreError, UsageError
from facesearch.gallery.opening import describe, engine_of
from facesearch.gallery.persons import ENTERED, labels_of
from facesearch.gallery.places import Places
from facesearch.locations import as_location, is_address, join
from facesearch.records import Box
from facesearch.sources import is_folder, open_source
from facesearch.store import SINGLE_FILE_BYTES, Store
from facesearch.store.assembly import LeftOut, held_for_writing
from facesearch.store.columns import Ints
from facesearch.store.disk import storing
from facesearch.store.entered import change_entered
from facesearch.store.forgetting import clear, rewrite
from facesearch.store.forgotten import FacesLeftOut, Forgotten
from facesearch.store.layout import Layout
from facesearch.store.set_aside import set_aside

_ID = re.compile(r"([0-9a-f]{16})(?:-([1-9][0-9]*))?")


@dataclass(frozen=True, slots=True)
class Targets:
    """What to forget: photos at ``paths`` or below them, of a single one only its ``face`` number;
    and ``ids`` of faces as answers have them, or of photos (what stands before the "-").
    """

    paths: tuple[str, ...] = ()
    face: int | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForgetOptions:
    """``remember`` keeps the hash of what goes, so that no later run brings it back; ``wait`` for
    another writer to end; ``dry_run`` changes nothing.
    """

    remember: bool = True
    wait: bool = False
    dry_run: bool = False
    single_file_bytes: int = SINGLE_FILE_BYTES


@dataclass(frozen=True, slots=True)
class Going:
    """A photo with all its ``faces``, or one of its faces (``number``, ``box``), that goes.

    ``id`` is the photo's or the face's, "" of a photo that could never be read; ``paths`` are all
    places where the photo lies; an engine does not say where the face is.
    """

    id: str
    paths: tuple[str, ...]
    faces: int
    number: int | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class ForgetSummary:
    """What went, or would go: ``photos`` whole and ``faces`` of others. ``files`` counts the paths
    of those photos, ``embeddings`` all faces that went. ``remembered`` says whether their hashes
    are kept. ``caches`` are what evaluations kept and held, or followed from, some of it; they went
    too. ``subject`` is "photo" where the store holds whole photos. ``set_aside`` are files and
    folders that a repair has kept beside the store, which stay as they are and may hold it all.
    """

    store: str
    photos: tuple[Going, ...] = ()
    faces: tuple[Going, ...] = ()
    remembered: bool = True
    caches: tuple[str, ...] = ()
    subject: str = "face"
    set_aside: tuple[str, ...] = ()

    @property
    def unread(self) -> int:
        """Photos that could never be read, which have no hash to be remembered by."""
        return sum(not photo.id for photo in self.photos)

    @property
    def files(self) -> int:
        """Paths that went."""
        return sum(len(photo.paths) for photo in self.photos)

    @property
    def embeddings(self) -> int:
        """Faces that went, with their photo or alone."""
        return sum(photo.faces for photo in self.photos) + len(self.faces)


Confirm = Callable[[ForgetSummary], bool]
"""Asked before anything goes; False leaves all as it is."""


def forget(
    name: StoreName, targets: Targets, options: ForgetOptions, confirm: Confirm
) -> ForgetSummary | None:
    """Takes photos and faces out of a store, and out of what was computed from it.

    The store is written anew and takes the old one's place in one step. It is held for writing
    until the question is answered.

    Args:
        name: the store's file, or a gallery in a search engine.
        targets: see ``Targets``.
        options: see ``ForgetOptions``.
        confirm: see ``Confirm``.

    Returns:
        What went; None where ``confirm`` said no.

    Raises:
        UsageError: one of the targets is not in the store.
        StoreError: the store is missing or damaged, or cannot be written; StoreBusyError: another
            process writes it.
    """
    _check(targets)
    with _opened(name, options) as (store, take_out):
        chosen = choose(store, targets)
        summary = replace(
            _summary(store, chosen),
            store=str(name),
            remembered=options.remember,
            set_aside=_set_aside(name),
        )
        if options.dry_run:
            return summary
        if not confirm(summary):
            return None
        entered = _entered(store, chosen, options.remember)
        # First, so that the same command goes on where this is cut off.
        caches = _clear_caches(summary, _hashes(store, chosen), options.wait)
        del store  # Windows keeps what is mapped
        take_out(chosen, entered)
    return replace(summary, caches=caches)


def _set_aside(name: StoreName) -> tuple[str, ...]:
    if isinstance(name, EngineAddress):
        return ()
    with storing(name):
        return tuple(map(str, set_aside(name)))


_TakeOut = Callable[[LeftOut, dict[str, Any]], object]


def _opened(
    name: StoreName, options: ForgetOptions
) -> AbstractContextManager[tuple[Store, _TakeOut]]:
    """What is there, held for writing, and what takes some of it out."""
    if isinstance(name, EngineAddress):
        return _in_engine(name, options)
    return _in_file(name, options)


@contextmanager
def _in_file(path: Path, options: ForgetOptions) -> Iterator[tuple[Store, _TakeOut]]:
    """A store file held for writing, cleared of what was left when another was cut off."""
    store = Store.open(path)  # before a lock is made beside nothing
    if options.dry_run:
        yield store, _nothing
        return
    del store  # Windows keeps what is mapped
    with held_for_writing(path, options.wait):
        clear(path)
        yield Store.open(path), partial(rewrite, path, single_file_bytes=options.single_file_bytes)


@contextmanager
def _in_engine(address: EngineAddress, options: ForgetOptions) -> Iterator[tuple[Store, _TakeOut]]:
    """What an engine knows of files, photos and faces, without embeddings."""
    describe(address)  # before a file is made where there is none
    with engine_of(address).open_writer(address, options.wait) as writer:
        store = writer.held
        assert store is not None
        writer.begin(store.recipe)
        if not options.dry_run:
            writer.settle()
        yield writer.store, writer.take_out


def _nothing(left_out: LeftOut, entered: dict[str, Any]) -> None:
    raise AssertionError("a dry run changes nothing")


def allow(name: StoreName, paths: Sequence[str], wait: bool = False, dry_run: bool = False) -> int:
    """Lets photos be indexed again that were forgotten; how many of these were.

    A photo of which single faces were forgotten leaves the store with the others, and the next run
    reads all of it: then every face has the number that it had.

    Args:
        name: the store's file, or a gallery in a search engine.
        paths: photos, which are read for their hashes, and folders of them.
        wait: for another writer to end.
        dry_run: only count.

    Raises:
        PhotoError: one of them cannot be read.
        StoreError: as ``forget``.
    """
    held = memory_of(name)
    found = [each for each in _hashes_at(paths) if each in held.photos or each in held.faces]
    if not found or dry_run:
        return len(found)

    def change(store: Store) -> dict[str, Any]:
        return store.forgotten.without(found).into(store.head.entered)

    in_part = [each for each in found if each in held.faces]
    if isinstance(name, EngineAddress):
        with _in_engine(name, ForgetOptions(wait=wait)) as (store, take_out):
            # Not in one step: where this is cut off in between, the faces are still left out.
            take_out(_all_of(store, in_part), store.head.entered)
            take_out(_all_of(store, ()), change(store))
    elif in_part:
        with held_for_writing(name, wait):
            store = Store.open(name)
            left_out, entered = _all_of(store, in_part), change(store)
            del store  # Windows keeps what is mapped
            rewrite(name, left_out, entered, SINGLE_FILE_BYTES, roots_stay=True)
    else:
        change_entered(name, change, wait)
    return len(found)


def _all_of(store: Store, hashes: Collection[bytes]) -> LeftOut:
    """Photos whole, by their hashes."""
    return LeftOut(store.contents.with_hashes(hashes), _sorted(()))


def traces_left(name: StoreName) -> list[str]:
    """What is left of what a store has forgotten, in any file that the tool keeps, a line each.

    Raises:
        StoreError: the store, or a file, cannot be read.
    """
    from facesearch.store.traces import traces

    if isinstance(name, EngineAddress):
        return engine_of(name).traces_of(name)
    home = weights.home()
    kept = [*(home / "eval").rglob("*"), *home.glob("*.json")]
    return list(traces(Store.open(name), [each for each in kept if each.is_file()]))


def memory_of(name: StoreName) -> Forgotten:
    """What a store or gallery knows to have forgotten.

    Raises:
        StoreError: it cannot be read.
    """
    if isinstance(name, EngineAddress):
        return describe(name).forgotten
    return Store.open(name).forgotten


def _hashes_at(paths: Sequence[str]) -> set[bytes]:
    """Of all photos at or below these paths."""
    from facesearch.photos import hash_file

    found = set[bytes]()
    for path in paths:
        place = as_location(path)
        if is_folder(place):
            source = open_source(place)
            keys = [entry.key for entry in source.entries() if source.probe(entry) != "not-read"]
            found |= {hash_file(join(str(place), key)) for key in keys}
        else:
            found.add(hash_file(place))
    return found


def _check(targets: Targets) -> None:
    if not targets.paths and not targets.ids:
        raise UsageError("name what to forget: photos or folders, --id ID, or --like PHOTO")
    if targets.face is not None and len(targets.paths) != 1:
        raise UsageError("--face is a face of one photo; name that photo alone")
    for text in targets.ids:
        if not _ID.fullmatch(text):
            raise UsageError(
                f"--id {text}: is no id; they look like 0123456789abcdef-1, as facesearch query "
                "--json prints them"
            )


def choose(store: Store, targets: Targets) -> LeftOut:
    """What of a store is meant.

    Raises:
        UsageError: something is meant that it does not have.
    """
    places = Places(store)
    contents, faces = set[int](), set[int]()
    for path in targets.paths:
        rows = np.flatnonzero(places.files_at(path))
        if not len(rows):
            raise UsageError(
                f"{path}: the store has no photo there; facesearch roots lists folders"
            )
        here = set(store.files.content[rows].tolist())
        if targets.face is None:
            contents |= here
        else:
            faces.add(_face(store, here, targets.face, path))
    for text in targets.ids:
        match = _ID.fullmatch(text)
        assert match is not None
        here = _with_id(store, bytes.fromhex(match[1]))
        if not here:
            raise UsageError(f"--id {text}: the store has no such photo")
        if match[2] is None or store.recipe.subject == "photo":
            contents |= here
        else:
            faces.add(_face(store, here, int(match[2]), f"--id {text}"))
    contents |= _twins(store, contents)
    inside = {face for content in contents for face in _faces_of(store, content)}
    return LeftOut(_sorted(contents), _sorted(faces - inside))


def _with_id(store: Store, start: bytes) -> set[int]:
    """The photos whose hash begins so: of those that files have, else of those that wait to be
    dropped, which are on the disk all the same.
    """
    rows = store.contents.with_hash(start) if any(start) else _sorted(())
    live = rows[store.contents.live[rows]]
    return set((live if len(live) else rows).tolist())


def _twins(store: Store, contents: Collection[int]) -> set[int]:
    """Contents with the same bytes: a photo that cannot be decoded has one for each file."""
    hashes = {store.contents.hash_of(content) for content in contents}
    return set(store.contents.with_hashes({each for each in hashes if any(each)}).tolist())


def _face(store: Store, contents: Collection[int], number: int, asked: str) -> int:
    """The face of a number of the only photo among contents."""
    if store.recipe.subject == "photo":
        raise UsageError(f"{asked}: this store holds whole photos; leave out --face")
    read = {content for content in contents if store.contents.failure(content) is None}
    contents = read or contents
    if len(contents) != 1:
        raise UsageError(f"{asked}: holds {len(contents):,} photos; --face is a face of one")
    (content,) = contents
    numbers = {store.faces.number(face): face for face in _faces_of(store, content)}
    if number not in numbers:
        known = ", ".join(map(str, numbers)) or "none"
        raise UsageError(f"{asked}: has no face {number} in the store; its faces: {known}")
    return numbers[number]


def _faces_of(store: Store, content: int) -> range:
    return range(store.contents.face_start(content), store.contents.face_stop(content))


def _sorted(numbers: Collection[int]) -> Ints:
    return np.array(sorted(numbers), np.int64)


def _summary(store: Store, chosen: LeftOut) -> ForgetSummary:
    """What is chosen, as people know it."""
    places = Places(store)

    def going(content: int) -> Going:
        key = store.contents.hash_of(content)
        name = key.hex()[:16] if any(key) else ""
        paths = tuple(place.path for place in places.of_content(content))
        return Going(name, paths, len(_faces_of(store, content)))

    def going_face(face: int) -> Going:
        facts = store.faces.facts(face)
        photo = going(facts.content)
        return replace(
            photo,
            id=f"{photo.id}-{facts.number}",
            faces=1,
            number=facts.number,
            box=None if math.isnan(facts.box[0]) else Box(*facts.box),
        )

    return ForgetSummary(
        str(store.path),
        tuple(map(going, chosen.contents.tolist())),
        tuple(map(going_face, chosen.faces.tolist())),
        subject=store.recipe.subject,
    )


def _hashes(store: Store, chosen: LeftOut) -> frozenset[bytes]:
    """Those of the photos that something goes of, but for what could never be read."""
    contents = [*chosen.contents.tolist(), *store.faces.content_of(chosen.faces).tolist()]
    hashes = (store.contents.hash_of(content) for content in contents)
    return frozenset(each for each in hashes if any(each))


def _entered(store: Store, chosen: LeftOut, remember: bool) -> dict[str, Any]:
    """What people entered, without the labels of what goes, and with its hashes if asked for."""
    held = store.forgotten
    whole = {
        key: _size(store, content)
        for content in chosen.contents.tolist()
        if any(key := store.contents.hash_of(content))
    }
    faces: dict[bytes, FacesLeftOut] = {}
    for face in chosen.faces.tolist():
        content, number, *_ = store.faces.facts(face)
        key = store.contents.hash_of(content)
        count = len(_faces_of(store, content))
        none = FacesLeftOut(store.recipe.recipe_digest, count, ())
        faces[key] = faces.get(key, held.faces.get(key, none)).plus([number])
    if not remember:
        # Of a photo that is remembered anyhow, so are all its faces: else they would count anew.
        faces = {key: out for key, out in faces.items() if key in held.faces}
    kept = held.without([*whole, *faces])
    photos = {**kept.photos, **whole} if remember else kept.photos
    now = Forgotten(photos, {**kept.faces, **faces})
    entered = now.into(store.head.entered)
    labels = _labels_left(store, chosen)
    entered.pop(ENTERED, None)
    return entered | ({ENTERED: labels} if labels else {})


def _size(store: Store, content: int) -> int:
    rows = store.files.of_content(content)
    return int(store.files.size[rows[0]]) if len(rows) else 0


def _labels_left(store: Store, chosen: LeftOut) -> dict[str, str]:
    """The labels but for those that name only photos which go."""
    labels = labels_of(store.head.entered)
    if not labels:
        return labels
    marks = dict(zip(labels, labels, strict=True))
    gone = set(chosen.contents.tolist())
    leaving, staying = set[str](), set[str]()
    for content, key in zip(store.files.content.tolist(), store.files.paths(), strict=True):
        if (mark := identity(key, marks)) is not None:
            (leaving if content in gone else staying).add(mark)
    return {key: name for key, name in labels.items() if key not in leaving - staying}


def _clear_caches(summary: ForgetSummary, hashes: Collection[bytes], wait: bool) -> tuple[str, ...]:
    """Takes photos out of the stores that evaluations keep, and removes figures that may follow
    from them; which files were touched.
    """
    touched: list[Path] = []
    for folder in sorted(_evaluated(summary)):
        touched += _without_figures(folder)
    for path in sorted((weights.home() / "eval").glob("*/*.npz")):
        touched += _taken_out(path, hashes, wait)
    return tuple(map(str, touched))


def _without_figures(folder: Path) -> list[Path]:
    results = folder / "results"
    if not results.is_dir():
        return []
    with storing(results):
        shutil.rmtree(results)
    return [results]


def _taken_out(path: Path, hashes: Collection[bytes], wait: bool) -> list[Path]:
    """What was touched where a store had some of these photos, or is damaged: then it goes, for it
    can be computed again.
    """
    with held_for_writing(path, wait):
        try:
            store = Store.open(path)
            chosen = _all_of(store, hashes)
            entered = dict(store.head.entered)
            del store
        except StoreError:
            figures = _without_figures(path.parent)
            with storing(path):
                Layout(path).discard()
            return [*figures, path]
        if not len(chosen.contents):
            return []
        figures = _without_figures(path.parent)  # first: then the store says what is still to do
        rewrite(path, chosen, entered, SINGLE_FILE_BYTES)
    return [*figures, path]


def _evaluated(summary: ForgetSummary) -> set[Path]:
    """Where evaluations of any folder that the photos lie in keep what they found."""
    paths = {path for each in (*summary.photos, *summary.faces) for path in each.paths}
    parents = {parent for path in paths if not is_address(path) for parent in Path(path).parents}
    return {weights.evaluations_of(folder) for folder in parents}
