"""What a store holds, counted as people count: by photo file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facesearch.faces import smallest_findable
from facesearch.photos import printable
from facesearch.records import Coverage, Failure
from facesearch.sources import root_state
from facesearch.store import Store


def coverage_of(store: Store) -> Coverage:
    """What a search looks through. A content at several paths counts at each of them."""
    contents = store.contents
    content = np.asarray(store.files.content)
    faces = contents.face_counts[content]
    failed = contents.failed[content]
    return Coverage(
        faces=int(faces.sum()),
        photos=int(np.count_nonzero(faces)),
        without_face=int(np.count_nonzero((faces == 0) & ~failed)),
        failed=int(np.count_nonzero(failed)),
        roots_away=sum(not root.there for root in roots_of(store)),
        indexed_at=store.indexed_at,
        progress=store.progress,
        subject=store.recipe.subject,
    )


@dataclass(frozen=True, slots=True)
class RootFacts:
    """A root as ``roots list`` shows it; ``there`` is whether it is to be found now."""

    number: int
    path: str
    there: bool
    photos: int


def roots_of(store: Store) -> Iterator[RootFacts]:
    """Each root with its number of photos."""
    counts = np.bincount(np.asarray(store.files.root), minlength=len(store.roots))
    for number, root in enumerate(store.roots):
        folder, photos = root.resolve(store.folder), int(counts[number])
        state = root_state(folder)
        # The folder that a disk is mounted on is there, and empty, when the disk is not.
        there = state == "there" or (state == "empty" and not photos)
        yield RootFacts(number + 1, str(folder), there, photos)


def failures_of(store: Store) -> Iterator[Failure]:
    """Each photo that could not be used, with the reason found when it was last read."""
    failed = store.contents.failed[np.asarray(store.files.content)]
    home = store.folder
    for row in np.flatnonzero(failed):
        found = store.contents.failure(int(store.files.content[row]))
        if found is not None:
            reason, message = found
            folder = store.roots[int(store.files.root[row])].resolve(home)
            key = store.files.path(int(row))
            path = str(folder / key) if key else str(folder)
            yield Failure(path, reason, f"{printable(path)}: {message}")


def further_pages(store: Store) -> int:
    """Pages and frames beyond the first, which are not searched."""
    frames = np.asarray(store.contents.frames)[np.asarray(store.files.content)]
    return int(np.maximum(frames - 1, 0).sum())


def small_faces(store: Store, limits: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """(N, photos) for each N of ``limits`` where faces under N original pixels could not be found
    in some photos, because of the smallest face asked for or the scale they were decoded at.
    Where whole photos are the items there is none.
    """
    if store.recipe.subject == "photo":
        return ()
    contents = store.contents
    content = np.asarray(store.files.content)
    content = content[~contents.failed[content]]
    shorter = np.minimum(contents.width, contents.height)[content]
    smallest = smallest_findable(
        store.recipe.detector, shorter, np.asarray(contents.scale)[content]
    )
    counts = ((limit, int(np.count_nonzero(smallest >= limit))) for limit in limits)
    return tuple((limit, count) for limit, count in counts if count)
