"""The index job from top to bottom: list, compare, read what is new, commit all along, prune."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesearch import weights
from facesearch.addresses import StoreName
from facesearch.clusters import ClusterJob, PhotoPool, WorkerFactory, open_pool
from facesearch.errors import FacesearchError, InterruptedRunError, PhotoError, StoreError
from facesearch.gallery.facts import coverage_of, failures_of, further_pages, small_faces
from facesearch.gallery.writing import GalleryWriter
from facesearch.index_options import (
    DEFAULT_MAX_PIXELS,
    IndexOptions,
    choose_jobs,
    plan_options,
    remembered,
    worker_bytes,
)
from facesearch.index_target import all_paths, take_for_writing
from facesearch.locations import Location, is_address
from facesearch.photos import Patience, hash_file, printable
from facesearch.planning import Plan, Work, make_plan, settle_gone
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.recipes import Recipe
from facesearch.records import TRANSIENT_REASONS, Failure, IndexSummary, PhotoResult
from facesearch.runtimes import Fetch
from facesearch.scoping import Place, choose_scopes, needed_roots
from facesearch.sources import OutageWatch
from facesearch.store import Store
from facesearch.workers import Lost, PoolOptions, WorkerPool

BATCH = 16
"""Photos that go to a worker at a time."""
COMMIT_SECONDS = 5.0
"""How often a run commits: what a kill can lose."""
_NEXT_STEP = {
    "timeout": "run again",
    "worker-died": "left alone until it changes, or with --retry",
}
_SMALL_FACES = (40, 60, 80, 120, 200)  # original pixels that the summary reports on


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is, for a progress bar; ``faces`` is None where photos are the items."""

    done: int
    total: int
    faces: int | None
    failed: int


@dataclass(frozen=True, slots=True)
class IndexHooks:
    """Where a run tells of itself, for the library prints nothing. ``on_listed`` hears how many
    photos were found so far, ``on_progress`` how far their reading is; what they raise ends the
    run. ``transfer_bar`` shows a download of weights; ``factory`` makes what runs in each worker in
    place of the real networks.
    """

    on_progress: Callable[[RunState], None] = lambda state: None
    on_message: Callable[[str], None] = lambda text: None
    transfer_bar: weights.BarFactory = weights.NoBar
    factory: Callable[[ProcessSpec], WorkerFactory] | None = None
    on_listed: Callable[[int], None] = lambda found: None


def index(
    paths: Sequence[Location], store: StoreName, options: IndexOptions, hooks: IndexHooks
) -> IndexSummary:
    """Brings the store up to date with the folders and files named, or with all its roots.

    Args:
        paths: folders and files, here or in object storage; none: all roots that the store knows.
        store: the ``.npz`` file, or a gallery in a search engine; made when missing.
        options: see ``IndexOptions``.
        hooks: progress, messages, workers.

    Raises:
        UsageError: a named path is not there.
        RecipeMismatchError: options differ from those the store was made with.
        StoreError: the store cannot be read or written; StoreBusyError: another process writes.
        WeightsError: weights are missing and cannot be downloaded.
        InterruptedRunError: Ctrl-C; what was done is kept.
        FacesearchError: there is not a single photo, or a rebuild would lose some.
    """
    started = time.monotonic()
    with _nothing_read_yet(store):
        target = take_for_writing(paths, store, options)
    with target.writer as writer:
        paths = all_paths(writer.store, paths) if target.anew else paths
        summary = _Run(writer, target.options, hooks, store).go(paths)
    return dataclasses.replace(
        summary,
        store=str(store),
        store_bytes=summary.store_bytes if isinstance(store, Path) else 0,
        seconds=round(time.monotonic() - started, 3),
    )


class _Run:
    """One run over a store that is held for writing."""

    def __init__(
        self, writer: GalleryWriter, options: IndexOptions, hooks: IndexHooks, name: StoreName
    ) -> None:
        self._name = name
        self._writer = writer
        self._held = writer.store
        self._options = options
        self._patience = Patience(options.item_timeout)
        self._hooks = hooks
        self._plan = Plan()
        self._counts: Counter[str] = Counter()
        self._done = 0
        self._looked_at = 0
        self._faces = 0
        self._failed = 0
        self._device = ""
        self._committed = 0.0
        self._failures: list[Failure] = []
        self._outages = OutageWatch(options.item_timeout)
        self._hashes: dict[str, bytes] = {}
        self._copies: dict[bytes, list[Work]] = {}
        self._gone: dict[int, list[Place]] = defaultdict(list)
        self._found_again: set[Place] = set()
        self._forgotten = self._held.forgotten

    def go(self, paths: Sequence[Location]) -> IndexSummary:
        """List, compare, read, prune, finish."""
        held, options = self._held, self._options
        with _nothing_read_yet(self._name):
            roots, scopes = choose_scopes(held, paths, held.folder, options.exclude)
            listing = plan_options(held, options)
            listing = dataclasses.replace(listing, on_listed=self._hooks.on_listed)
            plan = self._plan = make_plan(held, scopes, roots, listing)
        _refuse_nothing(plan, paths, held, self._name)
        self._writer.set_roots(roots)
        # Not yet with which limit: what was too large for another one is still to be read.
        self._writer.set_options(held.options | {"exclude": list(options.exclude)})
        reading = time.monotonic()
        with self._kept_if_stopped():
            self._move()
            self._read()
            reading = time.monotonic() - reading
            removed, kept = self._prune()
        self._writer.set_options(remembered(options))
        with contextlib.suppress(KeyboardInterrupt), _whole():  # too late to stop: all is done
            self._writer.finish()
        return dataclasses.replace(
            self._summary(),
            removed=removed,
            gone_kept=kept,
            photos_per_second=round(self._looked_at / reading, 2),
        )

    @contextlib.contextmanager
    def _kept_if_stopped(self) -> Iterator[None]:
        """Whatever ends the reading, what was done is committed."""
        try:
            yield
        except KeyboardInterrupt as interrupt:
            self._keep_done()
            state = self._state()
            raise InterruptedRunError(
                f"stopped at {state.done:,} of {state.total:,} photos; they are kept, and the same "
                "command goes on from there"
            ) from interrupt
        except StoreError:
            raise  # it cannot be written; the last commit stands
        except FacesearchError:
            self._keep_done()
            raise

    def _keep_done(self) -> None:
        if self._done:
            with contextlib.suppress(KeyboardInterrupt), _whole():
                self._commit()

    def _move(self) -> None:
        """What moved without needing to be read, and where read photos may have come from."""
        plan = self._plan
        for move in (*plan.moves, *plan.taken_over):
            self._writer.link(move.root, move.entry, move.content)
            self._leave(move.before)
        self._counts["moved"] = len(plan.moves)
        self._counts["unchanged"] = plan.unchanged + len(plan.taken_over)
        self._done = plan.seen - len(plan.read)
        for places in plan.gone.values():
            for place, content in places.items():
                if place not in self._found_again:
                    self._gone[content].append(place)

    def _leave(self, before: Place) -> None:
        """A photo's old place goes in the same commit as its new one comes: a run that goes on
        after a kill could not tell a moved photo from a lost one.
        """
        self._writer.remove(*before)
        self._found_again.add(before)

    def _read(self) -> None:
        """Reads all that is to be read; copies of a photo that failed get a turn of their own."""
        self._committed = time.monotonic()
        left = self._plan.read
        while left:
            recipe = self._writer.store.recipe
            jobs = choose_jobs(self._options, len(left), recipe.extractor.model)
            size = max(1, min(BATCH, len(left) // (4 * jobs)))
            with photo_pool(recipe, self._options, self._hooks, jobs) as pool:
                self._hooks.on_progress(self._state())
                for task, result in pool.run(self._batches(left, size)):
                    with _whole():
                        self._looked_at += 1
                        self._take(left[task.number], result)
                        self._step()
                self._device = pool.description or self._device
            left = [copy for copies in self._copies.values() for copy in copies]
            self._copies.clear()

    def _batches(self, left: Sequence[Work], size: int) -> Iterator[list[PhotoTask]]:
        """Tasks in order, without the files whose content need not be read."""
        sizes = Counter(work.entry.size for work in left)
        forgotten = set(self._forgotten.photos.values())
        # A cluster reads copies too: that is shared work, and this process would be its brake.
        here = self._options.cluster is None
        batch: list[PhotoTask] = []
        for number, work in enumerate(left):
            alike = sizes[work.entry.size] > 1 or work.entry.size in forgotten
            # An object is not read twice: whether it is known shows when its bytes are here.
            perhaps_known = here and (work.perhaps_held or (alike and not is_address(work.path)))
            if perhaps_known and self._is_known(work):
                continue
            batch.append(PhotoTask(number, work.path))
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _is_known(self, work: Work) -> bool:
        """Whether the content is held or was forgotten, or is being read elsewhere in this run; the
        file then waits for it.
        """
        try:
            content = self._patience.read(hash_file, work.path)
        except PhotoError:
            return False  # the worker says what is wrong with it
        if content in self._forgotten.photos:
            with _whole():
                self._done += 1
                self._leave_out(work)
                self._step()
            return True
        held = self._writer.content_id(content)
        if held is not None:
            with _whole():
                self._done += 1
                self._link(work, held)
                self._step()
            return True
        if content in self._copies:
            self._copies[content].append(work)
            return True
        self._copies[content] = []
        self._hashes[work.path] = content
        return False

    def _take(self, work: Work, result: PhotoResult | Lost) -> None:
        content = self._hashes.pop(work.path, b"")
        if isinstance(result, Lost):
            advice = _NEXT_STEP[result.reason]
            message = f"{printable(work.path)}: {result.message} ({result.reason}); {advice}"
            failure = Failure(work.path, result.reason, message)
            none = np.zeros((0, self._writer.store.recipe.extractor.dim), np.float32)
            result = PhotoResult(content, None, (), none, failure)
        self._done += 1
        self._failed += result.failure is not None
        self._outages.see(work.path, result.failure)
        if not self._is_passing(work, result.failure):
            held = self._writer.content_id(result.content_hash) if result.content_hash else None
            kept = self._forgotten.kept(result, self._held.recipe.recipe_digest)
            if held is not None:
                self._link(work, held)
            elif kept is not None:
                self._put(work, kept)
            else:
                self._leave_out(work)
        if result.content_hash:
            for copy in self._copies.pop(result.content_hash, []):
                self._take(copy, _of_copy(result, copy.path))

    def _is_passing(self, work: Work, failure: Failure | None) -> bool:
        """Whether a failure leaves the store as it was: a known photo stays when it cannot be read
        for the moment, and a file that is gone again was never there.
        """
        if failure is None or failure.reason not in TRANSIENT_REASONS:
            return False
        good = work.content >= 0 and not self._held.contents.failed[work.content]
        if not good and failure.reason != "vanished":
            return False
        self._failures.append(failure)
        self._counts["new" if work.kind == "new" else "unchanged"] += 1
        return True

    def _leave_out(self, work: Work) -> None:
        """A photo that was forgotten stays out, and so does what its file held before."""
        self._counts["forgotten"] += 1
        if work.before is not None:
            self._leave(work.before)
        elif work.content >= 0:
            self._leave((work.root, work.entry.key))

    def _put(self, work: Work, result: PhotoResult) -> None:
        self._writer.put((work.root, work.entry), _without_path(result))
        if work.before is not None:
            self._leave(work.before)
        self._counts["new" if work.kind == "new" else "changed"] += 1
        self._faces += len(result.faces)

    def _link(self, work: Work, content: int) -> None:
        self._writer.link(work.root, work.entry, content)
        if work.before is not None:
            self._leave(work.before)
        if work.kind != "new" and work.content == content:
            self._counts["unchanged"] += 1
        elif self._gone[content]:
            self._leave(self._gone[content].pop())
            self._counts["moved"] += 1
        else:
            self._counts["copies"] += 1

    def _step(self) -> None:
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self._commit()
            self._committed = time.monotonic()
        self._hooks.on_progress(self._state())

    def _state(self) -> RunState:
        whole = self._writer.store.recipe.subject == "photo"
        faces = None if whole else self._faces
        return RunState(self._done, self._plan.seen, faces, self._failed)

    def _commit(self) -> None:
        self._writer.commit((self._done, self._plan.seen))

    def _prune(self) -> tuple[int, int]:
        """Removes what is gone; how many, and how many are kept though gone."""
        remove, kept = settle_gone(
            self._plan, self._found_again, self._options.prune, self._options.item_timeout
        )
        for root, key in remove:
            self._writer.remove(root, key)
        self._commit()
        self._writer.set_roots(needed_roots(self._writer.store, self._options.exclude))
        return len(remove), kept

    def _summary(self) -> IndexSummary:
        plan, summary = self._plan, summarise(self._writer.store)
        # What is known to be broken is named again; each photo once, as it was found last.
        failures = {
            failure.path: failure for failure in summary.failures if plan.looked_at(failure.path)
        }
        failures |= {failure.path: failure for failure in self._failures}
        return dataclasses.replace(
            summary,
            seen=plan.seen,
            new=self._counts["new"],
            changed=self._counts["changed"],
            unchanged=self._counts["unchanged"],
            moved=self._counts["moved"],
            copies=self._counts["copies"],
            forgotten=self._counts["forgotten"],
            usable=plan.seen - len(failures) - self._counts["forgotten"],
            failures=(*plan.failures, *failures.values()),
            not_read=dict(plan.not_read.most_common()),
            roots_away=tuple(plan.away),
            device=self._device,
        )


def summarise(store: Store) -> IndexSummary:
    """What the store holds after a run, and which of its photos failed."""
    coverage = coverage_of(store)
    return IndexSummary(
        store=str(store.path),
        faces=coverage.faces,
        without_face=coverage.without_face,
        failures=tuple(failures_of(store)),
        further_pages=further_pages(store),
        small_faces=small_faces(store, _SMALL_FACES),
        store_bytes=store.size,
        subject=store.recipe.subject,
    )


def _refuse_nothing(plan: Plan, paths: Sequence[Location], held: Store, name: StoreName) -> None:
    """Raises where there is no photo at all, before a store is made."""
    if plan.seen or len(held.files):
        return
    where = ", ".join(printable(path) for path in paths) or printable(str(name))
    if plan.failures:
        raise FacesearchError(plan.failures[0].message)
    if plan.away:
        away = plan.away[0]
        raise FacesearchError(f"{printable(away.root)}: {away.why}; plug it in or check its rights")
    others = ", ".join(f"{count:,} {kind}" for kind, count in plan.not_read.most_common(5))
    found = f" (not read: {others})" if others else ""
    raise FacesearchError(f"{where}: no photos here{found}; name a folder that holds some")


def _without_path(result: PhotoResult) -> PhotoResult:
    """The result as it is stored: what is wrong with a content, which may lie at several paths."""
    failure = result.failure
    if failure is None:
        return result
    message = failure.message.removeprefix(f"{printable(failure.path)}: ")
    return dataclasses.replace(result, failure=dataclasses.replace(failure, message=message))


def _of_copy(result: PhotoResult, path: str) -> PhotoResult:
    """A photo's result for another file with the same bytes."""
    failure = _without_path(result).failure
    if failure is None:
        return result
    message = f"{printable(path)}: {failure.message}"
    copied = dataclasses.replace(failure, path=path, message=message)
    return dataclasses.replace(result, failure=copied)


def photo_pool(recipe: Recipe, options: IndexOptions, hooks: IndexHooks, jobs: int) -> PhotoPool:
    """Workers that read photos, here or on a cluster; brings the weights first when they are
    missing.
    """
    pixels = options.max_pixels or DEFAULT_MAX_PIXELS
    spec = ProcessSpec(recipe, pixels, options.runtime_options)
    factory = spec if hooks.factory is None else hooks.factory(spec)
    needed = (spec,) if hooks.factory is None else ()
    if options.cluster is None:
        _prepare(needed, options.offline, hooks)
        return WorkerPool(factory, PoolOptions(jobs, options.item_timeout))
    job = ClusterJob(
        factory,
        prepare=functools.partial(_prepare, needed, options.offline),
        prepare_here=functools.partial(_prepare, needed, options.offline, hooks),
        jobs=options.jobs,
        local_jobs=jobs,
        worker_bytes=worker_bytes(recipe.extractor.model, options.runtime),
        gpu=options.device != "cpu",
        item_timeout=options.item_timeout,
        on_message=hooks.on_message,
    )
    return open_pool(options.cluster, job)


def _prepare(specs: Sequence[ProcessSpec], offline: bool, hooks: IndexHooks | None = None) -> None:
    """Brings what the workers of one machine need; tells of it where there are ``hooks``."""
    fetch = Fetch(offline)
    if hooks is not None:
        fetch = Fetch(offline, hooks.on_message, hooks.transfer_bar)
    for spec in specs:
        spec.make_ready(fetch)


@contextlib.contextmanager
def _nothing_read_yet(store: StoreName) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise InterruptedRunError(
            f"{printable(str(store))}: stopped before a photo was read; nothing has changed"
        ) from interrupt


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Lets Ctrl-C wait until the block is done, so that no commit is cut in two."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stops = [number for number, handler in before.items() if callable(handler)]
    for number in stops:
        signal.signal(number, lambda number, frame: asked.append(number))
    try:
        yield
    finally:
        for number in stops:
            signal.signal(number, before[number])
    if asked:
        raise KeyboardInterrupt
