"""LFW and its pairs through scikit-learn's own fetcher, which knows where they are kept."""

from __future__ import annotations

import contextlib
import socket
import tarfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from facesearch.errors import DatasetError
from facesearch.lfw.checking import check_folder

PHOTOS_OF_THE_MOST_FREQUENT = 500
"""The fetcher also loads photos into memory; of so many photos LFW has one person."""
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LfwPlace:
    """Where LFW lies: the folder of its people, and the file of the 6,000 pairs."""

    folder: Path
    pairs: Path


def fetch_lfw(home: Path | None, report: Callable[[str], None]) -> LfwPlace:
    """Brings LFW here as first published (not funneled), unless it is here already.

    Args:
        home: scikit-learn's data folder; None for its own choice.
        report: takes a line that says what happens.

    Raises:
        DatasetError: it cannot be brought, or what lies there is not whole; says how to place it.
    """
    from sklearn.datasets import get_data_home

    try:
        kept = Path(get_data_home(home)).absolute() / "lfw_home"
    except OSError as error:
        raise DatasetError(f"cannot write {home}: {error.strerror}; give another --to") from error
    place = LfwPlace(kept / "lfw", kept / "pairs.txt")
    if place.folder.exists():
        _require_whole(place)
        if place.pairs.exists():
            return place
    else:
        report(f"bringing LFW to {kept}, about 200 MB; this takes minutes")
    try:
        _fetch(home)
    except (OSError, EOFError, HTTPException, tarfile.TarError) as error:
        why = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
        raise DatasetError(
            f"LFW cannot be brought here ({why}); on a machine with network run the same, or get "
            f"lfw.tgz and pairs.txt, and place them as {place.folder} (unpacked) and {place.pairs}"
        ) from error
    _require_whole(place)
    return place


def _fetch(home: Path | None) -> None:
    from sklearn.datasets import fetch_lfw_people

    with _patience(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # It tells of each time that it tries again.
        fetch_lfw_people(
            data_home=home,
            funneled=False,
            min_faces_per_person=PHOTOS_OF_THE_MOST_FREQUENT,
            resize=0.1,
        )


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """The fetcher sets no time limit of its own and would wait forever on a silent network."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _require_whole(place: LfwPlace) -> None:
    """The fetcher takes a folder that is there for complete, also after a stop in its midst."""
    found = check_folder(place.folder, as_lfw=True).lfw
    if found is None or found.complete:
        return
    lacking = [*found.missing_people, *found.missing_photos]
    raise DatasetError(
        f"{place.folder}: not all of LFW, {len(lacking):,} people or photos are missing, the first "
        f"is {lacking[0]}; delete the folder and pull again"
    )
