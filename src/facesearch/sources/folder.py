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
from facesearch.photos import Patience, is_photo, photo_error, promises_photo, read_header
from facesearch.photos.files import file_error, kind_of_mode
from facesearch.records import Failure, PhotoEntry
from facesearch.sources.protocol import Probe, RootState
from facesearch.sources.rules import Patterns, hidden_by, is_skipped, kind_of_name

_Identity = tuple[int, int | str]
PATIENCE = 120.0
"""Seconds that one file may take to show its first bytes."""
_TIMES = np.iinfo(np.int64)


class FolderSource:
    """The files below one folder, or one file.

    A folder is walked incrementally: entries come while it is still being listed. Hidden names,
    recycle bins, thumbnail folders and facesearch's own ``*.npz.parts`` are skipped. Links to files
    are followed. So are links to folders, once each, unless they lead to where the walk comes by
    itself. Listing and probing collect what else was met; a new ``entries()`` begins anew.

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
            patience: seconds that ``probe`` waits for one file.
        """
        self.root = root
        self.under = under.strip("/")
        self._patience = Patience(patience)
        self.unreadable: list[Failure] = []
        self.unreadable_prefixes: list[str] = []
        self.not_read: Counter[str] = Counter()
        self._excluded = Patterns(exclude)
        self._real_root = root.resolve()
        self._followed: set[_Identity] = set()

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
        start = self._start()
        if start is None:
            return
        if not start.is_folder:
            yield start.entry()
            return
        self._followed.add(self._identity(start))
        stack = [iter(self._children(start))]
        while stack:
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
            start = _Node(self.under, self.path(self.under).stat())
        except OSError as error:
            self._note(self.under, error, folder=True)
            return None
        if not self.covers(self.under, folder=start.is_folder):
            return None
        return start if start.is_folder or self._is_regular(start) else None

    def _children(self, folder: _Node) -> list[_Node]:
        """What is to be walked in one folder, sorted so that the whole walk is."""
        nodes: list[_Node] = []
        try:
            with os.scandir(self.path(folder.key)) as listing:
                for item in listing:
                    node = self._node(folder, item)
                    if node is not None:
                        nodes.append(node)
        except OSError as error:
            self._note(folder.key, error, folder=True)
        # As their paths will sort: "a.jpg" comes before what is inside "a", for "." is before "/".
        nodes.sort(key=lambda node: os.fsencode(node.key) + b"/" * node.is_folder)
        return nodes

    def _node(self, folder: _Node, item: os.DirEntry[str]) -> _Node | None:
        """One listed name, or None if it is skipped, excluded, no regular file, or unreadable."""
        key = f"{folder.key}/{item.name}" if folder.key else item.name
        if is_skipped(item.name) or self._excluded.match(key, item.name, folder=False):
            return None
        is_link = item.is_symlink()
        try:
            node = _Node(key, item.stat(), linked=folder.linked or is_link)
        except OSError as error:
            self._note_unseen(key, error, is_link=is_link)
            return None
        if not node.is_folder:
            return node if self._is_regular(node) else None
        if self._excluded.match(key, item.name, folder=True):
            return None
        return None if is_link and self._comes_by_itself(item.path) else node

    def _comes_by_itself(self, link: str) -> bool:
        """Whether a link leads to a folder that the walk of the whole root reaches without it."""
        target = Path(link).resolve()
        if target == self._real_root or not target.is_relative_to(self._real_root):
            return False  # the root itself is told by its identity
        return self.covers(target.relative_to(self._real_root).as_posix(), folder=True)

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

    def _note_unseen(self, key: str, error: OSError, *, is_link: bool) -> None:
        """A listed name of which nothing can be learned."""
        if is_link and error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            self.not_read["broken link"] += 1
        elif error.errno != errno.ENOENT:  # else it went in this very moment
            self._note(key, error, folder=False)

    def _note(self, key: str, error: OSError, *, folder: bool) -> None:
        path = os.fspath(self.path(key))
        failure = file_error(error, path)
        self.unreadable.append(Failure(path, failure.reason, str(failure)))
        self.unreadable_prefixes.append(f"{key}/" if key and folder else key)


def root_state(root: Path) -> RootState:
    """How a root is found before it is walked.

    Returns:
        "there"; "missing" (nothing at the path); "unreadable" (it cannot be listed); or "empty"
        (nothing visible in it), as the mount point of a disk that is away.
    """
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            return "there"
        with os.scandir(root) as listing:
            return "empty" if all(is_skipped(item.name) for item in listing) else "there"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:
        return "unreadable"


def is_gone(path: Path) -> bool:
    """Whether there is surely nothing; a disk that gives errors says nothing of what it holds."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, and one that can be seen."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
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

    def entry(self) -> PhotoEntry:
        # Some disks keep years that nanoseconds in 64 bits cannot tell, as a wrong clock sets them.
        time = min(max(self.status.st_mtime_ns, _TIMES.min), _TIMES.max)
        return PhotoEntry(self.key, self.status.st_size, int(time))


def _number_of(status: os.stat_result) -> int:
    return status.st_ino
