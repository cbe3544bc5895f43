"""Where a store's newest head lies: under its own name, or numbered beside it.

Where a file that is mapped cannot be replaced, as on Windows, a commit adds a numbered head in
``<name>.heads/`` instead. The highest sound one counts, and as long as there is one it counts more
than the plain name, which holds an earlier commit then.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from facesearch.errors import StoreError, StoreMissingError, StoreTooNewError
from facesearch.store.archive import MAX_META, META, Archive, damaged, peek_meta
from facesearch.store.head import Head, decode

_TRIES = 20
_NUMBERED = re.compile(r"([0-9]{1,18})\.npz")


def heads_folder(location: Path) -> Path:
    """Where numbered heads lie."""
    return location.with_name(location.name + ".heads")


def numbered_head(location: Path, number: int) -> Path:
    """The file of a numbered head."""
    return heads_folder(location) / f"{number:09}.npz"


def head_numbers(location: Path) -> list[int]:
    """The numbers of the heads that are there, ascending."""
    folder = heads_folder(location)
    try:
        found = [_NUMBERED.fullmatch(path.name) for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be read ({error.strerror}); check who may read it"
        ) from error
    return sorted(int(match.group(1)) for match in found if match is not None)


def open_head(path: Path, location: Path) -> tuple[Head, Archive]:
    """The newest head of the store at ``location``, called ``path``, and its file.

    Raises:
        StoreMissingError: there is none.
        StoreError: it is no store, of a newer version, cut short or damaged.
    """
    for _ in range(_TRIES):
        number = newest_number(location)
        file = location if number is None else numbered_head(location, number)
        try:
            return _open(path, file)
        except StoreMissingError:
            # A newer one has taken its place since the heads were listed.
            if number is None and newest_number(location) is None:
                raise
    raise StoreError(f"{path}: it changes faster than it can be opened; try again")


def newest_number(location: Path) -> int | None:
    """The highest number of a head that is sound; None where there is none.

    Raises:
        StoreTooNewError: one is of a newer version.
    """
    for number in reversed(head_numbers(location)):
        file = numbered_head(location, number)
        try:
            _open(file, file)
        except StoreMissingError:
            return number  # whoever opens it will see that it is gone, and ask again
        except StoreTooNewError:
            raise
        except StoreError:
            continue
        return number
    return None


def damaged_heads(location: Path) -> list[str]:
    """What is wrong with the heads that are there, one line each."""
    problems = []
    for file in head_files(location):
        try:
            _open(file, file)
        except StoreMissingError:
            continue
        except StoreError as error:
            problems.append(str(error))
    return problems


def earlier_heads(location: Path) -> Iterator[tuple[Head, Archive]]:
    """Every sound head beside numbered ones, the newest too; none where none is numbered."""
    if head_numbers(location):
        for file in head_files(location):
            with contextlib.suppress(StoreError):
                yield _open(file, file)


def head_files(location: Path) -> list[Path]:
    """Where heads may lie: under the store's own name, and those that are numbered.

    Raises:
        StoreError: the folder of numbered ones cannot be read.
    """
    return [location, *(numbered_head(location, number) for number in head_numbers(location))]


def heads_on_disk(location: Path) -> Iterator[Head]:
    """Every sound head that is there."""
    for file in head_files(location):
        try:
            yield _open(file, file)[0]
        except StoreError:
            continue


def _open(path: Path, file: Path) -> tuple[Head, Archive]:
    try:
        archive = Archive.open(file)
        size = archive.array(META).nbytes
        if size > MAX_META:
            raise damaged(path, f"its description takes {size >> 20:,} MiB")
        raw = archive.verified(META).tobytes()
    except StoreMissingError:
        raise
    except StoreError:
        # A later version may look different in all but its first bytes.
        _refuse_newer(path, file)
        raise
    return decode(raw, path), archive


def _refuse_newer(path: Path, file: Path) -> None:
    raw = peek_meta(file)
    if raw is None:
        return
    try:
        decode(raw, path)
    except StoreTooNewError:
        raise
    except StoreError:
        return  # what made it unreadable is told instead
