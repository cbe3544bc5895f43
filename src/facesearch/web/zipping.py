"""Several photos as one .zip file, written while it is sent."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, cast

from facesearch.photos import printable
from facesearch.web.problems import HttpError
from facesearch.web.shown import Shown, read_original

_PIECE = 1 << 18
_LEFT_OUT = "not included.txt"
_DATE = (1980, 1, 1, 0, 0, 0)


class _Sink:
    """What a ZipFile writes to: takes bytes, gives them on, cannot go back."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def taken(self) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        return data


def zipped(photos: Sequence[Shown], seconds: float) -> Iterator[bytes]:
    """The archive piece by piece; no more than one photo is in memory. Photos that cannot be read
    are named in a text of their own.
    """
    sink = _Sink()
    names = Names({_LEFT_OUT})
    left_out: list[str] = []
    with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_STORED) as archive:
        for photo in photos:
            try:
                data = read_original(photo, seconds).data
            except HttpError as problem:
                left_out.append(str(problem))
                continue
            entry = zipfile.ZipInfo(names.free(safe_name(photo.places()[0].path)), _DATE)
            entry.file_size = len(data)
            with archive.open(entry, "w") as file:
                for start in range(0, len(data), _PIECE):
                    file.write(data[start : start + _PIECE])
                    yield sink.taken()
        if left_out:
            archive.writestr(zipfile.ZipInfo(_LEFT_OUT, _DATE), "\n".join(left_out) + "\n")
    yield sink.taken()


class Names:
    """File names of which no two are the same, whatever the letters' case."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = {name.casefold() for name in taken}

    def free(self, name: str) -> str:
        """The name, or the first "name (2)" that nobody has."""
        stem, ending = os.path.splitext(name)  # noqa: PTH122 - a name, not a path
        number, found = 1, name
        while found.casefold() in self._taken:
            number += 1
            found = f"{stem} ({number}){ending}"
        self._taken.add(found.casefold())
        return found


def safe_name(path: str) -> str:
    """The last part of a path as any system can write it."""
    name = printable(path.rpartition("/")[2])
    safe = "".join("_" if each in '\\/:*?"<>|' else each for each in name)
    return safe.strip(". ") or "photo"
