"""How long an index run would take, from a timed sample."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from facesearch.addresses import EngineAddress, StoreName
from facesearch.clusters import PhotoPool
from facesearch.errors import UsageError
from facesearch.index_options import IndexOptions, choose_jobs, plan_options
from facesearch.index_target import all_paths, intent_of
from facesearch.indexing import IndexHooks, photo_pool
from facesearch.locations import Location
from facesearch.planning import Work, make_plan
from facesearch.processing import PhotoTask
from facesearch.records import IndexPrediction
from facesearch.scoping import choose_scopes
from facesearch.workers import Lost

_SAMPLE = 64  # photos that are timed
_PHOTO_BYTES = 220  # what a photo takes in the store besides its faces
_FACE_BYTES = 80  # what a face takes besides its embedding


def predict(
    paths: Sequence[Location], store: StoreName, options: IndexOptions, hooks: IndexHooks
) -> IndexPrediction:
    """How long ``index`` would take and how large its store would be.

    The store is not written, nor is its lock taken. Raises as ``index`` does.
    """
    if isinstance(store, EngineAddress):
        raise UsageError(f"{store}: --dry-run needs a store file; leave --store out")
    intent = intent_of(paths, store, options)
    held, options = intent.held, intent.options
    if held is not None and intent.anew:
        paths, held = all_paths(held, paths), None
    home = store.parent if held is None else held.folder
    roots, scopes = choose_scopes(held, paths, home, options.exclude)
    plan = make_plan(held, scopes, roots, plan_options(held, options))
    sample = plan.read[:: max(1, len(plan.read) // _SAMPLE)][:_SAMPLE]
    jobs = choose_jobs(options, len(plan.read), intent.recipe.extractor.model)
    timing = _Timing()
    if sample:
        with photo_pool(intent.recipe, options, hooks, jobs) as pool:
            timing = _timed(pool, sample)
    row_bytes = intent.recipe.extractor.dim * 4 + _FACE_BYTES
    return IndexPrediction(
        photos=plan.seen,
        to_read=len(plan.read),
        sampled=len(sample),
        seconds=timing.start_up + len(plan.read) / timing.rate,
        store_bytes=int(len(plan.read) * (timing.faces * row_bytes + _PHOTO_BYTES))
        + (held.size if held is not None else 0),
        not_read=dict(plan.not_read.most_common()),
        roots_away=tuple(plan.away),
    )


@dataclass(frozen=True, slots=True)
class _Timing:
    """Seconds until the first result, photos a second from then on, faces a photo."""

    start_up: float = 0.0
    rate: float = 1.0
    faces: float = 0.0


def _timed(pool: PhotoPool, sample: Sequence[Work]) -> _Timing:
    """Times a sample; the rate is that of its second half, when every worker has started."""
    started = time.monotonic()
    times: list[float] = []
    faces = 0
    tasks = ([PhotoTask(number, work.path)] for number, work in enumerate(sample))
    for _, result in pool.run(tasks):
        times.append(time.monotonic())
        faces += 0 if isinstance(result, Lost) else len(result.faces)
    late = times[len(times) // 2 :]
    rate = (len(late) - 1) / max(late[-1] - late[0], 1e-3) if len(late) > 1 else 1.0
    return _Timing(times[0] - started, rate, faces / len(times))
