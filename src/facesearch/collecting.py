"""Takes the photos of an answer along: copies of them, or links to them, in one folder."""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from facesearch import private
from facesearch.errors import FacesearchError, PhotoError, UsageError
from facesearch.locations import is_address
from facesearch.photos import photo_error, read_bytes
from facesearch.photos.files import open_regular
from facesearch.records import Neighbor, QueryReport

How = Literal["copy", "link"]
_LONGEST_NAME = 255  # bytes, on every file system that is in use


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """Where photos go and how: copied, or linked to by symbolic links. ``beyond_cut`` takes rows
    that are unlikely to show the person too. ``dry_run`` writes nothing. ``offline`` leaves photos
    in object storage alone.
    """

    folder: Path
    how: How = "copy"
    beyond_cut: bool = False
    dry_run: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of one photo: it was "taken" (or would be), lay "there" already, or "failed".

    ``target`` is its file in the folder, "" where there is none; ``why`` says what failed.
    """

    photo: str
    target: str
    state: Literal["taken", "there", "failed"]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answers whose photos are taken, each photo once, and how many lie beyond the cut."""

    neighbors: tuple[Neighbor, ...]
    beyond: int


def choose(report: QueryReport, options: CollectOptions, bounded: bool) -> Chosen:
    """Which photos of an answer to take: one for each row, up to the calibrated cut.

    The cut lies behind the last row that is "likely" or "possible".

    Args:
        report: the answer.
        options: what is wanted.
        bounded: whether the search itself was told how far to look.

    Raises:
        UsageError: the distances are not calibrated, so that there is no cut, and nothing else says
            which rows are meant.
    """
    found = [neighbor for result in report.results for neighbor in result.neighbors]
    if any(not neighbor.band for neighbor in found) and not (options.beyond_cut or bounded):
        raise UsageError(
            f"{report.store.path}: its distances are not calibrated, so no row is known to show "
            "the person; say --max-distance, or --beyond-cut to take them all"
        )
    near = {
        _content(neighbor): neighbor
        for neighbor in reversed(found)  # of several the first one stays
        if options.beyond_cut or neighbor.band != "unlikely"
    }
    everything = {_content(neighbor) for neighbor in found}
    wanted = tuple(near[content] for content in reversed(near))
    return Chosen(wanted, len(everything) - len(near))


def _content(neighbor: Neighbor) -> str:
    return neighbor.id.partition("-")[0]


def require_folder(options: CollectOptions) -> None:
    """Makes the folder, unless nothing is to be written; whoever made it alone may look into it.

    Raises:
        FacesearchError: it cannot be made, is a file, or nothing can be written there.
    """
    folder = options.folder
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: there is a file of that name; name a folder")
    if options.dry_run:
        return
    try:
        private.make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def collect(neighbors: Sequence[Neighbor], options: CollectOptions) -> Iterator[Collected]:
    """Takes the photos one by one; what lies in the folder is never replaced.

    A photo keeps its name; where another photo has that, "-2", "-3" and so on is added to it. One
    that lies there already, under any of those names, is left as it is. Of copies of one photo that
    the store knows the first that can be read is taken.

    Raises:
        FacesearchError: the folder cannot be written.
    """
    folder = _Folder(options)
    for neighbor in neighbors:
        yield _first_of((neighbor.path, *neighbor.also), folder)


def _first_of(paths: Sequence[str], folder: _Folder) -> Collected:
    failures = []
    for path in paths:
        try:
            return folder.take(path)
        except PhotoError as error:
            failures.append(Collected(path, "", "failed", str(error)))
    return failures[0]


class _Folder:
    """The folder and the names that were given away in it."""

    def __init__(self, options: CollectOptions) -> None:
        self._options = options
        self._given: set[str] = set()

    def take(self, path: str) -> Collected:
        """One photo.

        Raises:
            PhotoError: it cannot be read.
            FacesearchError: the folder cannot be written.
        """
        put = self._source(path)
        for name in _names(path.rpartition("/")[2] if is_address(path) else Path(path).name):
            target = self._options.folder / name
            if name.casefold() in self._given:  # also where a and A are one name
                continue
            if os.path.lexists(target):
                if self._is_there(path, target):
                    self._given.add(name.casefold())
                    return Collected(path, str(target), "there")
                continue
            if not self._options.dry_run and not _put(put, target):
                continue
            self._given.add(name.casefold())
            return Collected(path, str(target), "taken")
        raise AssertionError("names never end")

    def _source(self, path: str) -> Callable[[Path], None]:
        """What puts the photo at a place where nothing is."""
        remote = is_address(path)
        if remote and self._options.how == "link":
            raise photo_error("unsupported", path, "a link cannot lead there", "use --copy-to")
        if remote and self._options.offline:
            raise photo_error("unsupported", path, "--offline", "leave the option out")
        if remote:
            return lambda target: _write_new(target, None, read_bytes(path).data)
        with open_regular(path):  # or it says why not
            pass
        if self._options.how == "link":
            return lambda target: os.symlink(os.path.abspath(path), target)  # noqa: PTH211
        return lambda target: _write_new(target, path, b"")

    def _is_there(self, path: str, target: Path) -> bool:
        """Whether the file at the target is this photo already."""
        if not target.is_file():
            return False
        if self._options.how == "link":
            return target.is_symlink() and os.path.samefile(path, target)  # noqa: PTH121
        if is_address(path):
            return target.read_bytes() == read_bytes(path).data
        return filecmp.cmp(path, target, shallow=False)


def _names(name: str) -> Iterator[str]:
    """The name, then the same with numbers."""
    yield name
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - of a name, not of a path
    for number in range(2, 1 << 30):
        ending = os.fsencode(f"-{number}{suffix}")
        yield os.fsdecode(os.fsencode(stem)[: _LONGEST_NAME - len(ending)] + ending)


def _put(put: Callable[[Path], None], target: Path) -> bool:
    """Whether the photo is there now; somebody else may have been faster.

    Raises:
        FacesearchError: it cannot be written.
    """
    try:
        put(target)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(target, error) from error
    return True


def _write_new(target: Path, source: str | None, content: bytes) -> None:
    """A whole file at a place where nothing is, or nothing."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".facesearch-", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if source is None:
                file.write(content)
            else:
                _copy(source, file)
        if source is not None:
            with suppress(OSError):  # a file system may know no such times or rights
                shutil.copystat(source, temporary)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(source: str, file: BinaryIO) -> None:
    with open_regular(source) as photo:
        shutil.copyfileobj(photo, file, 1 << 20)


def _unwritable(place: Path, error: OSError) -> FacesearchError:
    why = error.strerror or str(error)
    if error.errno in (errno.EPERM, errno.ENOTSUP):
        why = f"{why}; some file systems have no links"
    return FacesearchError(f"{place}: cannot be written ({why}); name another folder")
