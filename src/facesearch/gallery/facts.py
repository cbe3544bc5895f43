"""What a store holds, counted as people count: by photo file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.faces import smallest_findable
from facesearch.locations import Address, join
from facesearch.photos import printable
from facesearch.recipes import Recipe
from facesearch.records import Coverage, Failure, StoreSummary
from facesearch.sources import root_state
from facesearch.store import Store

_FILES_AT_ONCE = 1 << 16


def summary_of(path: str, recipe: Recipe) -> StoreSummary:
    """Which store is searched: what it is called, and how its rows were made."""
    return StoreSummary(
        path=path,
        recipe=recipe.name,
        recipe_digest=recipe.recipe_digest,
        space_digest=recipe.space_digest,
        dim=recipe.extractor.dim,
    )


def coverage_of(store: Store) -> Coverage:
    """What a search looks through. A content at several paths counts at each of them."""
    faces = photos = without_face = failed = 0
    for content in _contents_of_files(store):
        counts = store.contents.table.lengths("face", content)
        broken = store.contents.table.lengths("reason", content) > 0
        faces += int(counts.sum())
        photos += int(np.count_nonzero(counts))
        without_face += int(np.count_nonzero((counts == 0) & ~broken))
        failed += int(np.count_nonzero(broken))
    return Coverage(
        faces=faces,
        photos=photos,
        without_face=without_face,
        failed=failed,
        roots_away=sum(not root.there for root in roots_of(store)),
        indexed_at=store.indexed_at,
        progress=store.progress,
        subject=store.recipe.subject,
    )


def _contents_of_files(store: Store) -> Iterator[NDArray[np.int64]]:
    """Each file's content, some ten thousand files at a time."""
    content = store.files.content
    for start in range(0, len(content), _FILES_AT_ONCE):
        yield content[start : start + _FILES_AT_ONCE]


@dataclass(frozen=True, slots=True)
class RootFacts:
    """A root as ``roots list`` shows it; ``there`` is whether it is to be found now."""

    number: int
    path: str
    there: bool
    photos: int


def roots_of(store: Store, ask: bool = False) -> Iterator[RootFacts]:
    """Each root with its number of photos. Object storage counts as there unless it is asked: no
    query should wait for a network.
    """
    numbers = np.arange(len(store.roots) + 1, dtype=np.int32)
    counts = np.diff(np.searchsorted(store.files.root, numbers))  # files are sorted by root
    for number, root in enumerate(store.roots):
        folder, photos = root.resolve(store.folder), int(counts[number])
        asked = ask or not isinstance(folder, Address)
        state = root_state(folder) if asked else "there"
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
            path = join(folder, store.files.path(int(row)))
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
