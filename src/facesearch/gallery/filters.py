"""Which photos a query asks for: by folder, by time, by person, and which it leaves out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import UsageError
from facesearch.gallery import Where
from facesearch.gallery.persons import Persons
from facesearch.gallery.places import Places
from facesearch.store import Store

Mask = NDArray[np.bool_]

_TIME = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d))?)?)?)?)?")
_TIME_LENGTH = len("2019-05-04T12:33:11")
_DIGITS_AT = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
_UNKNOWN = -1


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """What passes: ``files`` (files,) bool by folder and person, ``faces`` (faces,) bool by all;
    None where everything does.
    """

    files: Mask | None
    faces: Mask | None


class Filters:
    """The filters of one snapshot; what does not depend on the query is worked out once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._persons = Persons(store)

    def allowed(self, where: Where) -> Allowed:
        """What passes ``where``.

        Raises:
            UsageError: one of its parts names what the store does not have.
        """
        files = _both(Places(self._store).below(where.under), self._of_persons(where.persons))
        contents = self._contents(where, files)
        if contents is None:
            return Allowed(files, self._live_faces)
        return Allowed(files, self._store.faces.spread(contents))

    def undated(self) -> int:
        """Photo files whose capture time is not known."""
        return int(np.count_nonzero(self._times[self._store.files.content] == _UNKNOWN))

    def _contents(self, where: Where, files: Mask | None) -> Mask | None:
        """(contents,) bool; None where nothing but what is dead is left out."""
        found: Mask | None = None
        if files is not None:
            found = np.zeros(len(self._store.contents), np.bool_)
            found[self._store.files.content[files]] = True
        found = _both(found, self._taken(where))
        if where.exclude:
            found = _both(found, self._not_of(where.exclude))
        if found is not None and files is None:
            found &= self._store.contents.live
        return found

    @cached_property
    def _live_faces(self) -> Mask | None:
        contents = self._store.contents
        return None if contents.all_live else self._store.faces.spread(contents.live)

    def _not_of(self, hashes: frozenset[bytes]) -> Mask:
        contents = self._store.contents
        allowed = np.ones(len(contents), np.bool_)
        for left_out in hashes:
            allowed[contents.with_hash(left_out)] = False
        return allowed

    def _of_persons(self, names: Sequence[str]) -> Mask | None:
        found: Mask | None = None
        for name in names:
            here = self._persons.files_of(name)
            if not here.any():
                raise nobody_of_name(name, self._persons.names())
            found = here if found is None else found | here
        return found

    def _taken(self, where: Where) -> Mask | None:
        if not where.since and not where.until:
            return None
        times = self._times
        found: Mask = times != _UNKNOWN
        if where.since:
            found &= times >= first_moment(where.since)
        if where.until:
            found &= times <= last_moment(where.until)
        if not np.any(found[self._store.files.content]):
            raise nothing_taken(where, self.undated(), len(self._store.files))
        return found

    @cached_property
    def _times(self) -> NDArray[np.int64]:
        """(contents,) capture time as a number, 20190504123311; -1 where it is not known."""
        offsets, blob = self._store.contents.text_column("taken")
        known = np.flatnonzero(np.diff(offsets) == _TIME_LENGTH)
        times = np.full(len(offsets) - 1, _UNKNOWN, np.int64)
        total = np.zeros(len(known), np.int64)
        for place in _DIGITS_AT:
            total = 10 * total + (blob[offsets[known] + place] - np.uint8(ord("0")))
        times[known] = total
        return times


def nobody_of_name(name: str, names: Iterable[str] = ()) -> UsageError:
    """What to say where there is no photo of a person; ``names`` are those that there are."""
    close = difflib.get_close_matches(name, names, 1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return UsageError(
        f"--person {name}: the store has no photos of anybody of that name (the name of their "
        f"folder, or a label){meant}"
    )


def nothing_taken(where: Where, undated: int, photos: int) -> UsageError:
    """What to say where no photo is of the time asked for, ``undated`` of so many of none known."""
    asked = (("since", where.since), ("until", where.until))
    span = " ".join(f"--{name} {text}" for name, text in asked if text)
    return UsageError(
        f"{span}: the store has no photos taken then; ask for another time (the capture time of "
        f"{undated:,} of its {photos:,} photos is not known)"
    )


def first_moment(text: str) -> int:
    """The first second of a time such as "2019", "2019-05" or "2019-05-04T12:30", as a number with
    the digits of year, month, day, hour, minute and second.

    Raises:
        UsageError: it is no time.
    """
    return _moment(text, ("", "01", "01", "00", "00", "00"))


def last_moment(text: str) -> int:
    """The last second of such a time; see ``first_moment``."""
    return _moment(text, ("", "12", "31", "23", "59", "59"))


def _moment(text: str, rest: Sequence[str]) -> int:
    match = _TIME.fullmatch(text.strip())
    parts = (
        []
        if match is None
        else [
            part if part is not None else other
            for part, other in zip(match.groups(), rest, strict=True)
        ]
    )
    sound = parts and all(
        low <= int(part) <= high
        for part, low, high in zip(parts[1:], (1, 1, 0, 0, 0), (12, 31, 23, 59, 59), strict=True)
    )
    if not sound:
        raise UsageError(
            f"{text!r} is no time; write it as 2019, 2019-05, 2019-05-04 or 2019-05-04T12:30"
        )
    return int("".join(parts))


def _both(first: Mask | None, second: Mask | None) -> Mask | None:
    if first is None or second is None:
        return first if second is None else second
    return first & second
