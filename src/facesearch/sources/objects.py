"""Photos in object storage, listed page by page, and what the listing could not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from facesearch import buckets
from facesearch.errors import PhotoError
from facesearch.locations import Address, join
from facesearch.photos import is_photo, promises_photo, read_header
from facesearch.photos.files import file_error
from facesearch.photos.formats import RAW_EXTENSIONS
from facesearch.records import Failure, PhotoEntry
from facesearch.sources.protocol import Probe, RootState
from facesearch.sources.rules import Patterns, hidden_by, is_skipped, kind_of_name

# fmt: off
_OTHER_KINDS = RAW_EXTENSIONS | {
    ".3gp", ".7z", ".aac", ".aae", ".ai", ".avi", ".bak", ".bin", ".bz2", ".cfg", ".css", ".csv",
    ".db", ".doc", ".docx", ".eml", ".exe", ".flac", ".flv", ".gz", ".htm", ".html", ".ini", ".iso",
    ".js", ".json", ".jsonl", ".lnk", ".log", ".lrcat", ".m2ts", ".m4a", ".m4v", ".md", ".md5",
    ".mkv", ".mov", ".mp3", ".mp4", ".mpeg", ".mpg", ".mts", ".npy", ".npz", ".odt", ".ogg",
    ".pages", ".parquet", ".pdf", ".ppt", ".pptx", ".psd", ".py", ".rar", ".rtf", ".sh", ".sha256",
    ".sql", ".sqlite", ".srt", ".svg", ".tar", ".tgz", ".thm", ".toml", ".txt", ".url", ".vob",
    ".wav", ".webm", ".wmv", ".xls", ".xlsx", ".xml", ".xmp", ".xz", ".yaml", ".yml", ".zip",
    ".zst",
}
"""Names that are believed: each look costs a request, and buckets hold millions of such files."""
# fmt: on
_ODD_KEY = 'name beginning with "/"'


class ObjectSource:
    """The objects below one address, or the one at it.

    What folders are in a folder is what "/" parts in a key. Names and patterns count as they do in
    a folder. Keys that end with "/" stand for folders. A name that promises a photo, or another
    kind of file, is believed; into others we look with a request for their first bytes.

    Attributes: as of ``FolderSource``; a listing that breaks off hides all that it has not shown.
    """

    def __init__(self, root: Address, exclude: tuple[str, ...] = (), under: str = "") -> None:
        """List nothing yet; arguments as of ``FolderSource``."""
        self.root = root
        self.under = under.strip("/")
        self.unreadable: list[Failure] = []
        self.unreadable_prefixes: list[str] = []
        self.not_read: Counter[str] = Counter()
        self._excluded = Patterns(exclude)

    def entries(self) -> Iterator[PhotoEntry]:
        """List objects in the order of their keys' bytes, opening none; memory holds one page."""
        self.unreadable.clear()
        self.unreadable_prefixes.clear()
        self.not_read.clear()
        try:
            yield from self._entries()
        except OSError as error:
            path = join(self.root, self.under)
            failure = file_error(error, path)
            self.unreadable.append(Failure(path, failure.reason, str(failure)))
            self.unreadable_prefixes.append(self.under)

    def probe(self, entry: PhotoEntry) -> Probe:
        """Tell by its name, and if need be by its first bytes, whether an object is a photo.

        Returns: as ``FolderSource.probe``, but what a promising name holds shows when it is read.
        """
        path = join(self.root, entry.key)
        name = PurePosixPath(path).name
        if promises_photo(name):
            return "photo"
        try:
            if _may_be_photo(name) and entry.size and is_photo(name, read_header(path)):
                return "photo"
        except PhotoError as error:
            if error.reason != "vanished":
                return Failure(path, error.reason, str(error))
        self.not_read[kind_of_name(name)] += 1
        return "not-read"

    def covers(self, key: str, *, folder: bool = False) -> bool:
        """Whether a listing of the whole root would come to this key, were it there."""
        return self._excluded.cover(key, folder)

    def hides(self, key: str) -> bool:
        """Whether the last listing could not see if this key is there."""
        return hidden_by(self.unreadable_prefixes, key)

    def _entries(self) -> Iterator[PhotoEntry]:
        start = self.root.at(self.under)
        found = None
        for found in buckets.listing(start):
            if found.key.endswith("/"):
                continue
            key = _key_of(found, self.root)
            if key.startswith("/") or "\0" in key:
                self.not_read[_ODD_KEY] += 1  # no path below a root: the store takes none such
            elif self.covers(key):
                yield PhotoEntry(key, found.size, found.version)
        alone = buckets.find(start) if found is None else None
        if alone is not None and self.covers(self.under):
            yield PhotoEntry(self.under, alone.size, alone.version)


def root_state(root: Address) -> RootState:
    """See ``sources.root_state``. A prefix without visible objects is empty: it has no folder."""
    try:
        for found in buckets.listing(root):
            first = _key_of(found, root).partition("/")[0]
            if first and not is_skipped(first):
                return "there"
        return "there" if buckets.find(root) is not None else "empty"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"


def is_gone(place: Address) -> bool:
    """Whether nothing lies at or below it, or its bucket is not there."""
    try:
        return buckets.kind_of(place) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False


def is_folder(place: Address) -> bool:
    """Whether objects lie below it."""
    try:
        return buckets.kind_of(place) == "folder"
    except OSError:
        return False


def trouble_of(root: Address) -> Failure | None:
    """See ``sources.trouble_of``."""
    try:
        buckets.kind_of(root)
    except OSError as error:
        failure = file_error(error, str(root))
        return Failure(str(root), failure.reason, str(failure))
    return None


def _key_of(found: buckets.Object, root: Address) -> str:
    return found.key.removeprefix(f"{root.key}/") if root.key else found.key


def _may_be_photo(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() not in _OTHER_KINDS
