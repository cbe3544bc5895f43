"""The data sets that facesearch knows, LFW's layout and pairs file, label files."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import re
import shutil
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Literal, TypeVar

from facesearch.errors import DatasetError, UsageError
from facesearch.text_files import read_text

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
SAMPLE_COUNTS = {"train": 93, "val": 25}
SAMPLE_NAME = re.compile(r"(train|val)/[a-z_]+/[A-Za-z0-9_.-]+\.jpg")
SAMPLES_SHA256 = "b4da322edb0afd94fdf66c91dfa2087b4cb0ac086896145b355c949ae22303cf"
"""Over the sorted names and bytes of the sample photos, as ``_digest`` takes it."""
STALE_SECONDS = 3600
LABEL_HEADER = ("path", "name", "group")
NAMES_BETWEEN = ";"
Said = TypeVar("Said")

_POI_PHOTOS = 6  # whoever has exactly so many is searched for, as in the course reports


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set that facesearch knows; ``how`` says how a person gets it."""

    name: str
    photos: int
    people: int
    what: str
    how: str


KNOWN = (
    Dataset(
        "samples",
        sum(SAMPLE_COUNTS.values()),
        5,
        "Five celebrities, 93 photos to index (train) and 25 to query with (val)",
        "facesearch datasets pull samples",
    ),
    Dataset(
        "lfw",
        13_233,
        5_749,
        "Labeled Faces in the Wild, folders PERSON/PERSON_0001.jpg of 250x250 pixels",
        "facesearch datasets pull lfw",
    ),
)


def find_dataset(name: str) -> Dataset:
    """The data set of that name.

    Raises:
        UsageError: there is none.
    """
    for dataset in KNOWN:
        if dataset.name == name:
            return dataset
    known = ", ".join(dataset.name for dataset in KNOWN)
    raise UsageError(f"no data set is named {name!r}; there are {known}")


@dataclass(frozen=True, slots=True, order=True)
class LfwPhoto:
    """The ``number``-th photo (from 1) of a person in LFW."""

    person: str
    number: int

    @property
    def key(self) -> str:
        """Its path under LFW's folder, without the suffix."""
        return f"{self.person}/{self.person}_{self.number:04d}"

    def path(self, folder: Path) -> Path:
        """Its file under LFW's folder."""
        return folder / f"{self.key}.jpg"


@dataclass(frozen=True, slots=True)
class Label:
    """Whom a photo shows, and the group of people (of an age, say) to count them with, or ""."""

    name: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos of a verification protocol; ``fold`` counts from 0."""

    first: LfwPhoto
    second: LfwPhoto
    fold: int

    @property
    def same(self) -> bool:
        """Whether both show one person."""
        return self.first.person == self.second.person


def identity_of(path: PurePath) -> str:
    """The identity of a photo in LFW's layout: the name of its folder."""
    return path.parent.name


def people(folder: Path) -> dict[str, list[Path]]:
    """The photos of each person, both sorted, in LFW's layout (``PERSON/photo.jpg``).

    Folders without a photo and hidden entries are left out.

    Raises:
        DatasetError: the folder is missing or holds nobody.
    """
    try:
        folders = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        found = {entry.name: _photos(entry) for entry in folders if entry.is_dir()}
    except OSError as error:
        raise DatasetError(
            f"cannot read {folder}: {error.strerror}; give a folder with one folder a person"
        ) from error
    found = {person: photos for person, photos in found.items() if photos}
    if not found:
        raise DatasetError(
            f"{folder}: no photos in folders named after people; is it the right one?"
        )
    return found


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of an LFW pairs file, in its order.

    The first line states folds and pairs of each kind in a fold (``10 300``; a lone count means one
    fold); then each fold has that many lines ``name i j`` and as many ``name i name j``.

    Raises:
        DatasetError: the file cannot be read or a line is malformed; names the line.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"cannot read {path}: {_why(error)}; give an LFW pairs file") from error
    folds, count = _pairs_header(path, lines)
    rows = lines[1:]
    while rows and not rows[-1].strip():
        rows.pop()
    if len(rows) != folds * count * 2:
        raise DatasetError(
            f"{path}: {len(rows)} pairs where line 1 promises {folds * count * 2}; "
            "download the file again"
        )
    return [
        _pair(path, line, number, (number - 2) // (2 * count), (number - 2) // count % 2 == 0)
        for number, line in enumerate(rows, start=2)
    ]


def read_labels(path: Path, folder: Path | None = None) -> dict[str, Label]:
    """The labels of a CSV file by photo, in its order.

    Column 1 is a photo's path relative to ``folder``, or absolute and below it, or the bare name of
    a file with or without its suffix. Column 2 is the person's name; of several with ``;`` between
    them the first is the identity. Column 3, if there is one, is a group. A first line
    ``path,name`` or ``path,name,group`` is a header. Blank lines count for nothing.

    Returns:
        Keys as ``identity`` looks them up: relative paths with "/" between parts.

    Raises:
        DatasetError: the file cannot be read, a line is malformed or a photo is named twice; names
            the line.
    """
    found: dict[str, Label] = {}
    lines: dict[str, int] = {}
    for line, fields in _csv_rows(path):
        if not found and tuple(field.lower() for field in fields) in _LABEL_HEADERS:
            continue
        if not 2 <= len(fields) <= 3:
            raise DatasetError(
                f"{path}, line {line}: {len(fields)} columns; expected path,name or path,name,group"
            )
        key = _label_key(fields[0], folder)
        name = fields[1].split(NAMES_BETWEEN)[0].strip()
        if key == "." or not name:
            what = "name" if key != "." else "path"
            raise DatasetError(f"{path}, line {line}: the {what} is empty; fill it in or delete it")
        if key in found:
            raise DatasetError(
                f"{path}, line {line}: {key!r} is named in line {lines[key]} already; keep one"
            )
        found[key], lines[key] = Label(name, fields[2] if len(fields) == 3 else ""), line
    if not found:
        raise DatasetError(f"{path}: no labels in it; give lines of path,name")
    return found


def identity(key: str, labels: Mapping[str, Said]) -> Said | None:
    """What is said of the photo at the relative path ``key``: by its path before its bare name.

    None where the labels do not name it.
    """
    photo = PurePosixPath(key)
    spellings = (key, str(photo.parent / photo.stem), photo.name, photo.stem)
    return next((labels[each] for each in spellings if each in labels), None)


def unmeasured_people(folder: Path, pairs: Path) -> dict[str, list[Path]]:
    """LFW's people who are neither among those with exactly six photos nor in the pairs file: what
    is chosen or watched on them has seen nobody who is measured.

    Raises:
        DatasetError: the folder or the pairs file cannot be read.
    """
    paired = {photo.person for pair in read_pairs(pairs) for photo in (pair.first, pair.second)}
    return {
        person: photos
        for person, photos in people(folder).items()
        if person not in paired and len(photos) != _POI_PHOTOS
    }


def sample_people(folder: Path, part: Literal["train", "val"]) -> dict[str, list[Path]]:
    """The sample photos by person: 93 to enrol (train), 25 to ask with (val).

    Raises:
        DatasetError: ``folder`` does not hold the sample photos.
    """
    return people(folder / part)


def unpack_samples(archive: Path, folder: Path) -> Path:
    """Lay out the kept sample photos as ``folder/{train,val}/PERSON/PERSON_0001.jpg``.

    The photos' names in the archive are the addresses they were found at, squeezed; here they are
    numbered for each person in the order of those, as in LFW. The folder appears whole or not at
    all; one that has all of them already is left as it is.

    Raises:
        DatasetError: the archive is not the known one, or ``folder`` holds something else or cannot
            be written.
    """
    photos = _named(_read_archive(archive))
    if _is_complete(folder, photos):
        return folder
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DatasetError(
            f"{folder} is there and does not hold the sample photos as they came; "
            "delete it or choose another with --to"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_stale(folder)
        with _temporary_folder(folder) as partial:
            for name, data in photos.items():
                target = partial / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            _move_in(partial, folder, photos)
    except OSError as error:
        raise DatasetError(
            f"cannot write {folder}: {error.strerror}; choose another with --to"
        ) from error
    return folder


def _why(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "not text in UTF-8"


def _photos(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in PHOTO_SUFFIXES and not entry.name.startswith(".")
    )


_LABEL_HEADERS = (LABEL_HEADER[:2], LABEL_HEADER)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, fields without space around them) of each row that is not blank."""
    try:
        text = read_text(path, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"cannot read {path}: {_why(error)}; give a CSV file in UTF-8"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if any(fields):
                yield reader.line_num, fields
    except csv.Error as error:
        raise DatasetError(
            f"{path}, line {reader.line_num}: no CSV ({error}); quote what holds a comma"
        ) from error


def _label_key(text: str, folder: Path | None) -> str:
    photo = Path(text)
    if folder is not None and photo.is_absolute() and photo.is_relative_to(folder.absolute()):
        photo = photo.relative_to(folder.absolute())
    return photo.as_posix()


def _pairs_header(path: Path, lines: list[str]) -> tuple[int, int]:
    fields = lines[0].split() if lines else []
    if len(fields) not in (1, 2) or not all(field.isdecimal() and int(field) for field in fields):
        raise DatasetError(
            f"{path}, line 1: expected the number of folds and of pairs (10 300), "
            f"found {lines[0][:80] if lines else 'nothing'!r}"
        )
    numbers = [int(field) for field in fields]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (1, numbers[0])


def _pair(path: Path, line: str, number: int, fold: int, same: bool) -> Pair:
    match line.split(), same:
        case [person, first, second], True:
            other = person
        case [person, first, other, second], False if other != person:
            pass
        case _:
            wanted = "name i j (the same person)" if same else "name i name j (different people)"
            raise DatasetError(f"{path}, line {number}: expected {wanted}, found {line[:80]!r}")
    if not (first.isdecimal() and second.isdecimal() and int(first) and int(second)):
        raise DatasetError(f"{path}, line {number}: photos count from 1, found {line[:80]!r}")
    return Pair(LfwPhoto(person, int(first)), LfwPhoto(other, int(second)), fold)


def _read_archive(archive: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(archive) as kept:
            photos = {name: kept.read(name) for name in kept.namelist()}
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise DatasetError(f"cannot read {archive}: {error}; delete it and pull again") from error
    counts = {part: sum(name.startswith(f"{part}/") for name in photos) for part in SAMPLE_COUNTS}
    safe = all(SAMPLE_NAME.fullmatch(name) for name in photos)
    if counts != SAMPLE_COUNTS or not safe or _digest(photos) != SAMPLES_SHA256:
        raise DatasetError(
            f"{archive}: not the {sum(SAMPLE_COUNTS.values())} sample photos; "
            "delete it and pull again"
        )
    return photos


def _digest(photos: dict[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name in sorted(photos):
        whole.update(f"{name}\0{hashlib.sha256(photos[name]).hexdigest()}\n".encode())
    return whole.hexdigest()


def _named(photos: dict[str, bytes]) -> dict[str, bytes]:
    """The same photos, numbered for each person, those of val after those of train."""
    numbers: Counter[str] = Counter()
    named = {}
    for name in sorted(photos):
        folder = PurePosixPath(name).parent
        numbers[folder.name] += 1
        named[f"{folder}/{folder.name}_{numbers[folder.name]:04d}.jpg"] = photos[name]
    return named


def _is_complete(folder: Path, photos: dict[str, bytes]) -> bool:
    try:
        return all((folder / name).stat().st_size == len(data) for name, data in photos.items())
    except OSError:
        return False


@contextlib.contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    partial = Path(tempfile.mkdtemp(".part", f".{folder.name}.", folder.parent))
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _clear_stale(folder: Path) -> None:
    """Remove what a killed run left beside ``folder``, if old enough to be nobody's."""
    for leftover in folder.parent.glob(f".{folder.name}.*.part"):
        with contextlib.suppress(OSError):
            if leftover.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)


def _move_in(partial: Path, folder: Path, photos: dict[str, bytes]) -> None:
    partial.chmod(0o755)
    try:
        if folder.is_dir():
            folder.rmdir()  # It is empty; Windows renames onto no folder at all.
        partial.rename(folder)
    except OSError:
        if not _is_complete(folder, photos):  # Another run that was quicker has the same photos.
            raise
