"""Photos in a folder, walked in sorted order, and what it could not show."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesearch.errors import PhotoError
from facesearch.photos import Further, Patience, is_photo, photo_error, promises_photo, read_header
from facesearch.photos.files import file_error, kind_of_mode
from facesearch.records import Failure, PhotoEntry
from facesearch.sources.protocol import Probe, RootState
from facesearch.sources.rules import Patterns, hidden_by, is_skipped, kind_of_name

_Identity = tuple[int, int | str]
_Status = os.stat_result | OSError
PATIENCE = 120.0
"""Seconds that a disk may take to answer one question: what a folder holds, say, or how one file
begins.
"""
_SILENT_NAMES = 3  # so many in one folder, and the folder is left
_TIMES = np.iinfo(np.int64)


class FolderSource:
    """The files below one folder, or one file.

    A folder is walked incrementally: entries come while it is still being listed. Hidden names,
    recycle bins, thumbnail folders and facesearch's own ``*.npz.parts`` are skipped. Links to files
    are followed. So are links to folders, once each, unless they lead to where the walk comes by
    itself. Listing and probing collect what else was met; a new ``entries()`` begins anew.

    No question waits for ever: a folder whose disk does not answer is one that cannot be listed,
    nothing on that disk is asked for again, and a root that does not answer ends the walk.

    Attributes:
        root: as given.
        unreadable: a failure for each folder that could not be listed and each file whose size and
            time could not be read, with its full path.
        unreadable_prefixes: their keys, folders with "/" at the end, "" for the root itself;
            ``hides`` answers from them.
        not_read: files that are no photos, counted by lower-case extension (".mov"), or by
            "no extension", "other", "fifo", "socket", "device", "broken link".
    """

    def __init__(
        self,
        root: Path,
        exclude: tuple[str, ...] = (),
        under: str = "",
        patience: float = PATIENCE,
    ) -> None:
        """Walk nothing yet.

        Args:
            root: a folder or a file; keys are relative to it.
            exclude: patterns like the shell's (``*`` also matches "/"), case counts. One without
                "/" is matched against every name on the way, one with "/" against the path from
                the root; a "/" at its end leaves only folders in question. A folder that matches
                is not entered. A root that is itself a file is never excluded.
            under: key of the one folder or file to list; "" for all. What a walk of the whole root
                would skip on the way there is skipped here too.
            patience: seconds that the disk may take for each answer.
        """
        self.root = root
        self.under = under.strip("/")
        self._patience = Patience(patience)
        self.unreadable: list[Failure] = []
        self.unreadable_prefixes: list[str] = []
        self.not_read: Counter[str] = Counter()
        self._excluded = Patterns(exclude)
        self._followed: set[_Identity] = set()
        self._silent_disks: set[int] = set()

    def path(self, key: str) -> Path:
        """The file behind a key."""
        return self.root / key if key else self.root

    def entries(self) -> Iterator[PhotoEntry]:
        """List regular files in the order of their keys' bytes, opening none.

        Memory holds the listings of the folders between the root and the current file, nothing
        else; depth is limited by the system's longest path alone.
        """
        self.unreadable.clear()
        self.unreadable_prefixes.clear()
        self.not_read.clear()
        self._followed.clear()
        self._silent_disks.clear()
        start = self._start()
        if start is None:
            return
        if not start.is_folder:
            yield start.entry()
            return
        self._followed.add(self._identity(start))
        stack = [iter(self._children(start))]
        while stack and not self.hides(self.under):
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
            elif not node.is_folder:
                yield node.entry()
            elif self._is_new(node):
                stack.append(iter(self._children(node)))

    def probe(self, entry: PhotoEntry) -> Probe:
        """Open a file and tell by its first bytes whether it is a photo.

        Returns:
            "photo"; "not-read", then counted in ``not_read``; or the failure: the file cannot be
            read, or its name promises a photo and its content is none ("not-a-photo", "empty").
        """
        path = self.path(entry.key)
        promised = promises_photo(path.name)
        try:
            if is_photo(path.name, header := self._patience.read(read_header, path)):
                return "photo"
            if promised:
                raise photo_error("not-a-photo" if header else "empty", os.fspath(path))
        except PhotoError as error:
            if error.reason == "timeout":
                self._ask_around(entry.key.rpartition("/")[0])
            # A temporary file that came and went is nobody's loss.
            if promised or error.reason != "vanished":
                return Failure(os.fspath(path), error.reason, str(error))
        self.not_read[kind_of_name(path.name)] += 1
        return "not-read"

    def covers(self, key: str, *, folder: bool = False) -> bool:
        """Whether a walk of the whole root would come to this key, were it there.

        False for what is hidden, skipped or excluded: such a photo is not gone from the disk.
        """
        return self._excluded.cover(key, folder)

    def hides(self, key: str) -> bool:
        """Whether the last walk could not see if this key is there."""
        return hidden_by(self.unreadable_prefixes, key)

    def _start(self) -> _Node | None:
        """The folder or file to begin with; None, noted or counted, when there is none."""
        try:
            start = _Node(self.under, self._patience.read(os.stat, self.path(self.under)))
        except (OSError, PhotoError) as error:
            self._note(self.under, error, folder=True)
            return None
        if not self.covers(self.under, folder=start.is_folder):
            return None
        return start if start.is_folder or self._is_regular(start) else None

    def _children(self, folder: _Node) -> list[_Node]:
        """What is to be walked in one folder, sorted so that the whole walk is."""
        if folder.status.st_dev in self._silent_disks:
            self._note(folder.key, self._no_answer(folder.key), folder=True)
            return []
        try:
            found = self._patience.work(_listed, self.path(folder.key))
        except PhotoError as error:
            self._note(folder.key, error, folder=True)
            self._silence_of(folder)
            return []
        items = [item for item in found.items if self._is_wanted(folder, item)]
        looked_at = zip(items, self._statuses(folder, items), strict=False)
        nodes = [node for item, status in looked_at if (node := self._node(folder, item, status))]
        if found.error is not None:
            self._note(folder.key, found.error, folder=True)
        # As their paths will sort: "a.jpg" comes before what is inside "a", for "." is before "/".
        nodes.sort(key=lambda node: os.fsencode(node.key) + b"/" * node.is_folder)
        return nodes

    def _is_wanted(self, folder: _Node, item: os.DirEntry[str]) -> bool:
        return not is_skipped(item.name) and not self._excluded.match(
            folder.below(item.name), item.name, folder=False
        )

    def _statuses(
        self, folder: _Node, items: list[os.DirEntry[str]]
    ) -> Iterator[_Status | PhotoError]:
        """What the disk says of each item; of fewer, where it says nothing any more."""
        silent = 0
        while items and silent < _SILENT_NAMES:
            looks = _Looks(items)
            try:
                self._patience.work(looks, self.path(folder.key))
                yield from looks.found
                return
            except PhotoError as error:
                looks.over = True
                found = looks.found[: len(items) - 1]
                yield from found
                yield error
                items = items[len(found) + 1 :]
                silent += 1
                if self.hides(folder.key) or self._ask_around(folder.key):
                    return
        if items:
            self._note(folder.key, self._no_answer(folder.key), folder=True)

    def _node(
        self, folder: _Node, item: os.DirEntry[str], status: _Status | PhotoError
    ) -> _Node | None:
        """One listed name, or None if it is excluded, no regular file, or unreadable."""
        key, is_link = folder.below(item.name), item.is_symlink()
        if not isinstance(status, os.stat_result):
            self._note_unseen(key, status, is_link=is_link)
            return None
        node = _Node(key, status, linked=folder.linked or is_link)
        if not node.is_folder:
            return node if self._is_regular(node) else None
        if self._excluded.match(key, item.name, folder=True):
            return None
        return None if is_link and self._comes_by_itself(item.path) else node

    def _silence_of(self, folder: _Node) -> None:
        """Asks nothing more of the disk of a folder that gave no answer, if the root is on another
        one; nor of anything, if the root gives none either.
        """
        if self.hides(""):
            return
        try:
            root = self._patience.read(os.stat, self.root)
        except (OSError, PhotoError) as error:
            self._note("", error, folder=True)
            return
        if folder.status.st_dev != root.st_dev:
            self._silent_disks.add(folder.status.st_dev)

    def _ask_around(self, key: str) -> bool:
        """Whether the folder in which something gave no answer, or the root, gives none either;
        noted then, so that nothing in it is asked for again.
        """
        for place in dict.fromkeys((key, "")):
            try:
                self._patience.read(os.stat, self.path(place))
            except PhotoError as error:
                self._note(place, error, folder=True)
            except OSError:
                return False  # an answer too
            else:
                return place != key
        return True

    def _no_answer(self, key: str) -> PhotoError:
        return photo_error("timeout", os.fspath(self.path(key)), "its disk gives no answer")

    def _comes_by_itself(self, link: str) -> bool:
        """Whether a link leads to a folder that the walk of the whole root reaches without it."""
        try:
            target, root = (
                Path(self._patience.read(os.path.realpath, path)) for path in (link, self.root)
            )
        except PhotoError:
            return False
        if target == root or not target.is_relative_to(root):
            return False  # the root itself is told by its identity
        return self.covers(target.relative_to(root).as_posix(), folder=True)

    def _is_new(self, node: _Node) -> bool:
        """Whether a folder at or below a link was not walked through a link yet.

        Others are always new: the system allows no loops but through links, and a network drive
        that repeats its file numbers must not cost real folders.
        """
        if not node.linked:
            return True
        identity = self._identity(node)
        if identity in self._followed:
            return False
        self._followed.add(identity)
        return True

    def _identity(self, node: _Node) -> _Identity:
        """What tells a folder from all others; its real path where there are no file numbers."""
        number = _number_of(node.status)
        return node.status.st_dev, number or os.path.realpath(self.path(node.key))

    def _is_regular(self, node: _Node) -> bool:
        kind = kind_of_mode(node.status.st_mode)
        if kind is not None:
            self.not_read[kind] += 1
        return kind is None

    def _note_unseen(self, key: str, error: OSError | PhotoError, *, is_link: bool) -> None:
        """A listed name of which nothing can be learned."""
        number = error.errno if isinstance(error, OSError) else None
        if is_link and number in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            self.not_read["broken link"] += 1
        elif number != errno.ENOENT:  # else it went in this very moment
            self._note(key, error, folder=False)

    def _note(self, key: str, error: OSError | PhotoError, *, folder: bool) -> None:
        prefix = f"{key}/" if key and folder else key
        if prefix in self.unreadable_prefixes:
            return
        path = os.fspath(self.path(key))
        failure = file_error(error, path) if isinstance(error, OSError) else error
        self.unreadable.append(Failure(path, failure.reason, str(failure)))
        self.unreadable_prefixes.append(prefix)


@dataclass(frozen=True, slots=True)
class _Listed:
    """What a folder holds, as far as it could be listed."""

    items: list[os.DirEntry[str]]
    error: OSError | None = None


def _listed(folder: str, further: Further) -> _Listed:
    items: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as listing:
            for item in listing:
                items.append(item)
                further(folder)
    except OSError as error:
        return _Listed(items, error)
    return _Listed(items)


class _Looks:
    """Looks at items one by one; whoever has no more patience has what was found until then."""

    def __init__(self, items: list[os.DirEntry[str]]) -> None:
        self.found: list[_Status] = []
        self.over = False
        self._items = items

    def __call__(self, folder: str, further: Further) -> None:
        for item in self._items:
            if self.over:
                return
            further(item.path)
            try:
                self.found.append(item.stat())
            except OSError as error:
                self.found.append(error)


def root_state(root: Path, patience: float = PATIENCE) -> RootState:
    """How a root is found before it is walked.

    Returns:
        "there"; "missing" (nothing at the path); "unreadable" (it cannot be listed); "not
        answering", for so many seconds; or "empty" (nothing visible in it), as the mount point of
        a disk that is away.
    """
    try:
        return Patience(patience).read(_state_of, root)
    except PhotoError:
        return "not answering"


def _state_of(root: str) -> RootState:
    try:
        if not stat.S_ISDIR(Path(root).stat().st_mode):
            return "there"
        with os.scandir(root) as listing:
            return "empty" if all(is_skipped(item.name) for item in listing) else "there"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:
        return "unreadable"


def is_gone(path: Path, patience: Patience | None = None) -> bool:
    """Whether there is surely nothing; a disk that gives errors, or no answer, says nothing of what
    it holds.
    """
    try:
        (patience or Patience(PATIENCE)).read(os.stat, path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, PhotoError):
        return False
    return False


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, and one that can be seen."""
    try:
        return stat.S_ISDIR(Patience(PATIENCE).read(os.stat, path).st_mode)
    except (OSError, PhotoError):
        return False


@dataclass(frozen=True, slots=True)
class _Node:
    """A folder or file on the way; ``linked``: a link lies between it and the root."""

    key: str
    status: os.stat_result
    linked: bool = False

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    def below(self, name: str) -> str:
        """The key of what the folder holds under this name."""
        return f"{self.key}/{name}" if self.key else name

    def entry(self) -> PhotoEntry:
        # Some disks keep years that nanoseconds in 64 bits cannot tell, as a wrong clock sets them.
        time = min(max(self.status.st_mtime_ns, _TIMES.min), _TIMES.max)
        return PhotoEntry(self.key, self.status.st_size, int(time))


def _number_of(status: os.stat_result) -> int:
    return status.st_ino
