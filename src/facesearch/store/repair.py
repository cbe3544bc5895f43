"""Repairing a store: what can be proven sound becomes a store of its own, which takes the place of
the damaged one; that one is kept beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facesearch.errors import StoreError, StoreMissingError, StoreTooNewError
from facesearch.locations import join
from facesearch.store import schema
from facesearch.store.archive import META, Archive
from facesearch.store.assembly import Source, assemble, held_for_writing, must_not_be, write_store
from facesearch.store.check import check_path, check_store
from facesearch.store.columns import bases
from facesearch.store.compaction import Merge
from facesearch.store.disk import link_or_copy, storing
from facesearch.store.forgotten import FacesLeftOut, Forgotten
from facesearch.store.head import DerivedEntry, Head, SegmentEntry, decode
from facesearch.store.heads import head_numbers, heads_folder, numbered_head
from facesearch.store.layout import Layout
from facesearch.store.reader import Store, derived_folder, parts_folder, real_location
from facesearch.store.remains import (
    Flags,
    Remains,
    nothing_of,
    remains_of,
    sound_segments,
)
from facesearch.store.salvage import Found, bytes_of, find_arrays, key_left
from facesearch.store.sealing import Key
from facesearch.store.writer import SINGLE_FILE_BYTES

_FORGOTTEN = re.compile(
    rb'"([0-9a-f]{64})":(?:\{"count":([0-9]{1,6}),"numbers":\[([0-9,]{1,4000})\])?'
)
"""A photo's hash as a head writes what was forgotten, and its faces where it is about those."""

_MOST_PARTS = 10_000  # files that are looked through for one that is not in its place


@dataclass(frozen=True, slots=True)
class LostPhoto:
    """A photo that is no longer in the store, so that the next ``index`` reads it again.

    ``faces`` is how many it had, None where that is not known; ``lost`` are the numbers of those
    that are gone, empty where what was known of the photo itself is.
    """

    path: str
    faces: int | None = None
    lost: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RepairSummary:
    """What became of a store, or would.

    ``problems`` is what was wrong, a line each, none where the store is sound. ``photos`` and
    ``faces`` are kept, ``lost`` photos are not, nor are ``unnamed`` ones, whose paths are gone too,
    with ``unnamed_faces``. ``again`` is what will be computed again, ``notes`` what else there is
    to know, ``damaged`` where the damaged store lies now.
    """

    store: str
    problems: tuple[str, ...] = ()
    photos: int = 0
    faces: int = 0
    lost: tuple[LostPhoto, ...] = ()
    unnamed: int = 0
    unnamed_faces: int = 0
    again: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    damaged: str = ""

    @property
    def sound(self) -> bool:
        """Whether there was nothing to repair."""
        return not self.problems

    @property
    def complete(self) -> bool:
        """Whether no photo is gone and nothing else that only a person can bring back."""
        return not (self.lost or self.unnamed or self.unnamed_faces or self.notes)


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """``dry_run`` writes nothing; ``wait`` for another writer to end."""

    dry_run: bool = False
    wait: bool = False
    single_file_bytes: int = SINGLE_FILE_BYTES


Confirm = Callable[[RepairSummary], bool]
"""Asked before anything is written where something is lost; False leaves all as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class _Described:
    """A head that is sound, the ``file`` it was ``found`` in, and newer ones that are not."""

    head: Head
    file: Path
    found: Found
    lost: tuple[Path, ...]


def repair(path: Path, options: RepairOptions, confirm: Confirm) -> RepairSummary | None:
    """Makes a damaged store sound.

    What is kept is written beside the store, checked, and put in its place in one step. The damaged
    one is kept under a name that is free.

    Args:
        path: the store's file.
        options: see ``RepairOptions``.
        confirm: see ``Confirm``.

    Returns:
        What was done; None where ``confirm`` said no.

    Raises:
        StoreMissingError: there is none.
        StoreError: it is no store, or of a newer version; nothing of it is left; or it cannot be
            written. StoreBusyError: another process writes it. All is as before then.
    """
    with _held(path, options):
        problems = _problems(path)
        if not problems:
            store = Store.open(path)
            return RepairSummary(str(path), (), len(store.files), len(store.faces))
        salvaged = _salvaged(path, problems)
        summary = salvaged.summary
        if options.dry_run:
            return summary
        if not summary.complete and not confirm(summary):
            return None
        kept = _replace(path, salvaged, options.single_file_bytes)
    return replace(summary, damaged=str(kept))


def _held(path: Path, options: RepairOptions) -> AbstractContextManager[None]:
    location = real_location(path)
    if not any(os.path.lexists(each) for each in _places(location)):
        raise StoreMissingError(
            f"{path}: no store there; make one with facesearch index FOLDER, or name one with "
            "--store"
        )
    return nullcontext() if options.dry_run else held_for_writing(path, options.wait)


def _places(location: Path) -> tuple[Path, ...]:
    """What belongs to a store: its file, then the folders beside it."""
    return location, parts_folder(location), heads_folder(location), derived_folder(location)


def _problems(path: Path) -> list[str]:
    try:
        Store.open(path)
    except StoreTooNewError:
        raise
    except StoreMissingError as error:
        return [str(error)]
    except StoreError:
        pass  # told by what follows
    return check_path(path)


@dataclass(frozen=True, slots=True, eq=False)
class _Salvaged:
    """What is sound of a store, ready to be written."""

    head: Head
    merge: Merge
    summary: RepairSummary
    key: Key | None


def _salvaged(path: Path, problems: Sequence[str]) -> _Salvaged:
    location = real_location(path)
    described = _described(path, location)
    head = described.head
    dim = head.recipe.extractor.dim
    parts = [_remains(entry, described, location, dim) for entry in head.segments]
    segments, lost = sound_segments(parts, dim)
    store = Store(path, head, segments)
    forgotten = _with_doubtful(described)
    left_out = must_not_be(store.contents, forgotten)
    numbers = list(range(len(head.roots)))
    merge = assemble([Source(store, numbers)], lambda contents: left_out)
    derived, again = _derived(location, head)
    new = replace(
        head,
        roots=tuple(replace(root, id=index) for index, root in enumerate(head.roots)),
        next_root=len(head.roots),
        run=None,
        segments=(),
        # What holds traces of what must not be there is no better than the rows themselves.
        derived={} if left_out or described.lost else derived,
        entered=forgotten.into(head.entered),
    )
    unnamed = [part for part in parts if part.entry.files and not part.files]
    summary = RepairSummary(
        str(path),
        tuple(_told(described, parts) or problems),
        merge.counts.files,
        merge.counts.faces,
        tuple(_lost_photos(store, parts, lost)),
        sum(part.entry.files for part in unnamed),
        sum(part.entry.faces for part in unnamed),
        tuple(again),
        tuple(_notes(described, parts)),
    )
    return _Salvaged(new, merge, summary, key_left(described.file))


def _described(path: Path, location: Path) -> _Described:
    """The newest head that is sound. Those that lie elsewhere than they should count last."""
    tried: list[Path] = []
    ours = not os.path.lexists(location)
    for file, usual in _head_candidates(location):
        try:
            found = find_arrays(file)
        except FileNotFoundError:
            tried += [file] if usual else []
            continue
        ours = ours or found.is_ours or not any(found.view[:64])
        try:
            head = decode(found.arrays[META].tobytes(), path) if META in found.arrays else None
        except StoreTooNewError:
            raise
        except StoreError:
            head = None
        if head is not None:
            return _Described(head, file, found, tuple(tried))
        if usual:
            tried.append(file)
    if not ours:
        raise StoreError(f"{path}: not a facesearch store; name another file with --store")
    raise StoreError(
        f"{path}: its description is lost, and with it how its faces were found and whose they "
        "are; bring back a copy, or delete it with the folders beside it that begin with its name "
        "and run facesearch index"
    )


def _head_candidates(location: Path) -> Iterator[tuple[Path, bool]]:
    """Files that may hold a head, the newest first, and whether it is the place for one.

    A part may hold one too: a store of one file becomes the first part of what follows it.
    """
    for number in reversed(head_numbers(location)):
        yield numbered_head(location, number), True
    yield location, True
    yield location.with_name(f".{location.name}.tmp"), False
    yield location.with_name(f"{location.name}.tmp"), False
    for file in _files_in(parts_folder(location)):
        yield file, False


def _with_doubtful(described: _Described) -> Forgotten:
    """What is left out: also what descriptions that are lost seem to have forgotten. That is
    sooner too much than too little.
    """
    found = Forgotten.of(described.head.entered)
    recipe = described.head.recipe.recipe_digest
    for file in described.lost:
        with suppress(FileNotFoundError):
            for match in _FORGOTTEN.finditer(bytes_of(file)):
                found = found.plus(_doubtful(match, recipe))
    return found


def _doubtful(match: re.Match[bytes], recipe: str) -> Forgotten:
    photo = bytes.fromhex(match[1].decode())
    if match[2] is not None:
        count = int(match[2])
        numbers = tuple(sorted({int(text) for text in match[3].split(b",") if text}))
        if numbers and 1 <= numbers[0] <= numbers[-1] <= count:
            return Forgotten(faces={photo: FacesLeftOut(recipe, count, numbers)})
    return Forgotten({photo: 0})


def _files_in(folder: Path) -> list[Path]:
    """The plain files of a folder that may not be there, the newest first."""
    try:
        with os.scandir(folder) as entries:
            found = [
                (entry.stat(follow_symlinks=False).st_mtime_ns, entry.path)
                for entry in entries
                if entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return []
    return [Path(name) for _, name in sorted(found, reverse=True)[:_MOST_PARTS]]


def _remains(entry: SegmentEntry, described: _Described, location: Path, dim: int) -> Remains:
    """What is sound of a segment that the head names."""
    if described.head.inline:
        return _with_headers(remains_of(entry, described.found, dim), described.found)
    folder = parts_folder(location)
    named = folder / entry.name
    found = _found(named, entry.sha256)
    if found is not None and found.digest() == entry.sha256:
        return _with_headers(remains_of(entry, found, dim), found)
    for file in [*_files_in(folder), *(file for file, _ in _head_candidates(location))]:
        elsewhere = _found(file, "") if _ends_with(file, entry.sha256) else None
        if elsewhere is not None and elsewhere.digest() == entry.sha256:
            left = remains_of(entry, elsewhere, dim)
            left.damage.append(f"{named}: is not there, and was found as {file.name}")
            return left
    if found is None:
        return nothing_of(entry, f"{named}: is gone")
    if found.seal not in ("", entry.sha256) or found.digest():
        return nothing_of(entry, f"{named}: is not the part that the store names")
    return _with_headers(remains_of(entry, found, dim), found)


def _found(file: Path, sealed: str) -> Found | None:
    try:
        return find_arrays(file, sealed)
    except (FileNotFoundError, StoreError):
        return None


def _ends_with(file: Path, digest: str) -> bool:
    """Whether a file says at its end that it has this digest."""
    try:
        return bytes(bytes_of(file)[-len(digest) :]) == digest.encode()
    except (FileNotFoundError, StoreError):
        return False


def _with_headers(left: Remains, found: Found) -> Remains:
    """With a word on damage that costs nothing."""
    left.damage += [
        f"{found.path}: one byte of {name} was wrong and is put right, as the file's digest proves"
        for name in found.mended
    ]
    if found.untried:
        left.damage.append(
            f"{found.path}: damaged chunks not searched for one wrong byte, since too many others "
            f"have more: {found.untried:,}"
        )
    if not left.damage and not _is_exact(found):
        left.damage.append(f"{found.path}: its headers or its end are damaged, its arrays are not")
    return left


def _is_exact(found: Found) -> bool:
    try:
        archive = Archive.open(found.path)
    except StoreError:
        return False
    return archive.actual_digest() == archive.digest


def _derived(location: Path, head: Head) -> tuple[dict[str, DerivedEntry], list[str]]:
    """What was computed and is sound, and the names of what is not."""
    sound, again = {}, []
    for name, entry in head.derived.items():
        try:
            archive = Archive.open(derived_folder(location) / entry.file)
            right = archive.digest == entry.sha256 == archive.actual_digest()
        except StoreError:
            right = False
        if right:
            sound[name] = entry
        else:
            again.append(name)
    return sound, again


def _told(described: _Described, parts: Sequence[Remains]) -> list[str]:
    """What is wrong, a line each."""
    heads = [f"{file}: its description is lost" for file in described.lost]
    return heads + [line for part in parts for line in part.damage]


def _notes(described: _Described, parts: Sequence[Remains]) -> Iterator[str]:
    if described.lost:
        yield (
            f"the store is as {described.file} says, perhaps an "
            f"earlier commit{_as_of(described.head)}; labels, and what was forgotten, since then "
            "may be missing: forget it again before you index"
        )
    if any(part.entry.files and not part.files for part in parts[1:]):
        yield (
            "photos that were changed, moved or removed since the first parts were written may be "
            "as they were before; index puts that right"
        )


def _as_of(head: Head) -> str:
    return f" of {head.indexed_at}" if head.indexed_at else ""


def _lost_photos(
    store: Store, parts: Sequence[Remains], lost: Sequence[Flags]
) -> Iterator[LostPhoto]:
    """The photos that are known by name and by nothing else any more."""
    rows = store.file_rows
    flags = np.concatenate([np.zeros(0, np.bool_), *lost])
    original = np.concatenate(
        [np.zeros(0, np.int64), *(p.files["content"] for p in parts if p.files)]
    )
    firsts = bases(part.entry.contents for part in parts)
    roots = {root.id: root for root in store.roots}
    for row in np.flatnonzero(rows.content == schema.REMOVED).tolist():
        number = rows.number(row)
        root = roots.get(int(rows.root[row]))
        if root is None or not flags[number]:
            continue
        path = join(root.resolve(store.folder), os.fsdecode(rows.key(row)))
        content = int(original[number])
        place = int(np.searchsorted(firsts, content, side="right")) - 1
        if place >= len(parts) or not parts[place].contents:
            yield LostPhoto(path)
            continue
        yield _lost_photo(path, store, parts[place], content - int(firsts[place]))


def _lost_photo(path: str, store: Store, part: Remains, content: int) -> LostPhoto:
    first, last = part.faces_of(content)
    digest = part.contents["hash"][content].tobytes()
    known = store.forgotten.numbers(digest, last - first)
    lost = tuple(known[number - 1] for number in part.lost_numbers(content))
    return LostPhoto(path, last - first, lost)


# The new store takes the old one's place.


def _replace(path: Path, salvaged: _Salvaged, single_file_bytes: int) -> Path:
    """Writes what is sound, puts it in place; where the damaged store lies now."""
    location = real_location(path)
    beside = location.with_name(location.name + ".repair")
    with storing(path):
        Layout(beside).discard()
        try:
            made = write_store(
                beside, salvaged.head, salvaged.merge, single_file_bytes, salvaged.key
            )
            problems = check_store(made)
            if problems:
                raise StoreError(
                    f"{path}: what is sound of it makes no sound store ({problems[0]}); bring back "
                    "a copy, or run facesearch index --rebuild"
                )
            head = made.head
            del made  # Windows keeps what is mapped
            kept = _keep(location)
            layout = Layout(location)
            layout.take_over(Layout(beside), head)
        except BaseException:
            Layout(beside).discard()
            raise
        layout.sweep(head)
    return kept


def _keep(location: Path) -> Path:
    """Gives all files of a store a second name; where its head would be then.

    Raises:
        OSError: that cannot be done; none has one then.
    """
    kept = _free_name(location)
    with _or_none(_places(kept)):
        for folder, target in zip(_places(location)[1:], _places(kept)[1:], strict=True):
            files = _files_in(folder)
            if files:
                target.mkdir(0o700)
            for file in files:
                _second_name(file, target / file.name)
        if os.path.lexists(location):
            _second_name(location, kept)
    return kept


def _free_name(location: Path) -> Path:
    number = 1
    while True:
        name = f"{location.name}.damaged" + (f"-{number}" if number > 1 else "")
        free = location.with_name(name)
        if not any(os.path.lexists(each) for each in _places(free)):
            return free
        number += 1


@contextmanager
def _or_none(made: Sequence[Path]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for each in made:
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)
        raise


def _second_name(file: Path, target: Path) -> None:
    if not stat.S_ISREG(file.lstat().st_mode):
        return
    file.chmod(0o600)
    link_or_copy(file, target)
