"""Who is on which photo, as people say: from a CSV file into the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facesearch.datasets import identity, read_labels
from facesearch.gallery.persons import ENTERED, labels_of
from facesearch.store import Store
from facesearch.store.entered import change_entered


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """The outcome of ``facesearch label``: ``labels`` that the store has now, ``photos`` that they
    name, and how many of the new ones name none (``unused``; at most ten of them in ``unknown``).
    """

    store: str
    labels: int
    photos: int
    unused: int
    unknown: tuple[str, ...] = ()


def label(
    store: Path, file: Path | None, *, forget: bool = False, wait: bool = False
) -> LabelSummary:
    """Adds the labels of a file to those of the store; a photo named again gets the new one.

    Args:
        store: the store's file.
        file: lines of ``path,name``; see ``datasets.read_labels``. None: none.
        forget: drop the labels of before.
        wait: for another writer to end.

    Raises:
        DatasetError: the file cannot be read.
        StoreError: the store is missing, damaged, busy or cannot be written.
    """
    read = {} if file is None else read_labels(file)
    found = {key: label.name for key, label in read.items()}

    def change(held: Store) -> dict[str, Any]:
        before = {} if forget else labels_of(held.head.entered)
        names = before | found
        others = {name: value for name, value in held.head.entered.items() if name != ENTERED}
        return others | ({ENTERED: names} if names else {})

    return _summary(change_entered(store, change, wait), found)


def _summary(store: Store, found: dict[str, str]) -> LabelSummary:
    held = labels_of(store.head.entered)
    marks = dict(zip(held, held, strict=True))
    used: set[str] = set()
    photos = 0
    for key in store.files.paths():
        mark = identity(key, marks)
        if mark is not None:
            photos += 1
            used.add(mark)
    unknown = [key for key in found if key not in used]
    return LabelSummary(str(store.path), len(held), photos, len(unknown), tuple(unknown[:10]))
