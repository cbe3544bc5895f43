"""The index job from top to bottom: list, compare, read what is new, commit all along, prune."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesearch import weights
from facesearch.errors import FacesearchError, InterruptedRunError, PhotoError, StoreMissingError
from facesearch.gallery.facts import coverage_of, failures_of, further_pages, small_faces
from facesearch.index_options import (
    DEFAULT_MAX_PIXELS,
    IndexOptions,
    choose_jobs,
    choose_recipe,
    plan_options,
    remembered,
    with_remembered,
)
from facesearch.photos import hash_file
from facesearch.planning import Plan, Work, choose_scopes, make_plan, settle_gone
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.recipes import Recipe
from facesearch.records import (
    TRANSIENT_REASONS,
    Failure,
    IndexPrediction,
    IndexSummary,
    PhotoResult,
)
from facesearch.runtimes import RuntimeOptions
from facesearch.store import Store, StoreWriter
from facesearch.workers import Lost, PoolOptions, Worker, WorkerPool

BATCH = 16
"""Photos that go to a worker at a time."""
COMMIT_SECONDS = 5.0
"""How often a run commits: what a kill can lose."""
_SAMPLE = 64  # photos that a prediction times
_PHOTO_BYTES = 220  # what a photo takes in the store besides its faces
_FACE_BYTES = 80  # what a face takes besides its embedding
_SMALL_FACES = (40, 60, 80, 120, 200)  # original pixels that the summary reports on

PhotoPool = WorkerPool[PhotoTask, PhotoResult]
WorkerFactory = Callable[[], Worker[PhotoTask, PhotoResult]]


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is, for a progress bar."""

    done: int
    total: int
    faces: int
    failed: int


@dataclass(frozen=True, slots=True)
class IndexHooks:
    """Where a run tells of itself, for the library prints nothing. ``factory`` makes what runs in
    each worker in place of the real networks.
    """

    on_progress: Callable[[RunState], None] = lambda state: None
    on_message: Callable[[str], None] = lambda text: None
    factory: Callable[[ProcessSpec], WorkerFactory] | None = None


def index(
    paths: Sequence[Path], store: Path, options: IndexOptions, hooks: IndexHooks
) -> IndexSummary:
    """Brings the store up to date with the folders and files named, or with all its roots.

    Args:
        paths: folders and files; none: all roots that the store knows.
        store: the ``.npz`` file, made when missing.
        options: see ``IndexOptions``.
        hooks: progress, messages, workers.

    Raises:
        UsageError: a named path is not there.
        RecipeMismatchError: options differ from those the store was made with.
        StoreError: the store cannot be read or written; StoreBusyError: another process writes.
        WeightsError: weights are missing and cannot be downloaded.
        InterruptedRunError: Ctrl-C; what was done is kept.
        FacesearchError: there is not a single photo.
    """
    started = time.monotonic()
    held = open_or_none(store)
    options = with_remembered(held, options)
    recipe = choose_recipe(held, options)
    anew = held is not None and (options.rebuild or recipe != held.recipe)
    if held is not None and anew:
        paths = _all_paths(held, paths)
    with StoreWriter.open(store, recipe, wait=options.wait, fresh=anew) as writer:
        summary = _Run(writer, options, hooks).go(paths)
    return dataclasses.replace(
        summary, store=str(store), seconds=round(time.monotonic() - started, 3)
    )


def predict(
    paths: Sequence[Path], store: Path, options: IndexOptions, hooks: IndexHooks
) -> IndexPrediction:
    """How long ``index`` would take and how large its store would be, from a timed sample.

    Nothing is written. Raises as ``index`` does.
    """
    held = open_or_none(store)
    options = with_remembered(held, options)
    recipe = choose_recipe(held, options)
    if held is not None and (options.rebuild or recipe != held.recipe):
        paths, held = _all_paths(held, paths), None
    roots, scopes = choose_scopes(held, paths, store.parent)
    plan = make_plan(held, scopes, roots, plan_options(held, options))
    sample = plan.read[:: max(1, len(plan.read) // _SAMPLE)][:_SAMPLE]
    jobs = choose_jobs(options, len(plan.read))
    rate, faces = 0.0, 0.0
    if sample:
        with _pool(recipe, options, hooks, jobs) as pool:
            rate, faces = _timed(pool, sample)
    row_bytes = recipe.extractor.dim * 4 + _FACE_BYTES
    return IndexPrediction(
        photos=plan.seen,
        to_read=len(plan.read),
        sampled=len(sample),
        seconds=len(plan.read) / rate if rate else 0.0,
        store_bytes=int(len(plan.read) * (faces * row_bytes + _PHOTO_BYTES))
        + (held.size if held is not None else 0),
        not_read=dict(plan.not_read.most_common()),
        roots_away=tuple(plan.away),
    )


def open_or_none(path: Path) -> Store | None:
    """The store, or None when there is none yet."""
    try:
        return Store.open(path)
    except StoreMissingError:
        return None


class _Run:
    """One run over a store that is held for writing."""

    def __init__(self, writer: StoreWriter, options: IndexOptions, hooks: IndexHooks) -> None:
        self._writer = writer
        self._held = writer.store
        self._options = options
        self._hooks = hooks
        self._counts: Counter[str] = Counter()
        self._done = 0
        self._faces = 0
        self._device = ""
        self._failed = 0
        self._failures: list[Failure] = []
        self._copies: dict[bytes, list[Work]] = {}
        self._gone: dict[int, list[tuple[int, str]]] = defaultdict(list)
        self._found_again: set[tuple[int, str]] = set()

    def go(self, paths: Sequence[Path]) -> IndexSummary:
        """List, compare, read, prune, finish."""
        roots, scopes = choose_scopes(self._held, paths, self._held.folder)
        compare = plan_options(self._held, self._options)
        plan = make_plan(self._held, scopes, roots, compare)
        _refuse_nothing(plan, paths, self._held)
        self._writer.set_roots(roots)
        self._writer.set_options(remembered(self._options))
        self._move(plan)
        reading = time.monotonic()
        try:
            self._read(plan)
        except KeyboardInterrupt as interrupt:
            self._commit(plan)
            raise InterruptedRunError(
                f"stopped at {self._state(plan).done:,} of {plan.seen:,} photos; they are kept, "
                "and the same command goes on from there"
            ) from interrupt
        reading = time.monotonic() - reading
        removed, kept = self._prune(plan)
        with _whole():
            self._writer.finish()
        summary = summarise(self._writer.store)
        return dataclasses.replace(
            summary,
            seen=plan.seen,
            new=self._counts["new"],
            changed=self._counts["changed"],
            unchanged=plan.unchanged + self._counts["unchanged"],
            moved=self._counts["moved"],
            copies=self._counts["copies"],
            removed=removed,
            gone_kept=kept,
            failures=(*plan.failures, *self._failures, *summary.failures),
            not_read=dict(plan.not_read.most_common()),
            roots_away=tuple(plan.away),
            photos_per_second=round(len(plan.read) / reading, 2) if plan.read else 0.0,
            device=self._device,
        )

    def _move(self, plan: Plan) -> None:
        """What moved without needing to be read, and where read photos may have come from."""
        self._found_again.update(plan.replaced)
        for move in plan.moves:
            self._writer.link(move.root, move.entry, move.content)
            self._found_again.add(move.before)
        self._counts["moved"] = self._done = len(plan.moves)
        for scope, keys in plan.gone.items():
            for key, content in keys.items():
                if (scope.root, key) not in self._found_again:
                    self._gone[content].append((scope.root, key))

    def _read(self, plan: Plan) -> None:
        """Reads all that is to be read; copies of a photo that failed get a turn of their own."""
        left = plan.read
        while left:
            jobs = choose_jobs(self._options, len(left))
            size = max(1, min(BATCH, len(left) // (4 * jobs)))
            with _pool(self._writer.store.recipe, self._options, self._hooks, jobs) as pool:
                committed = time.monotonic()
                for task, result in pool.run(self._batches(left, size)):
                    with _whole():
                        self._take(left[task.number], result)
                        if time.monotonic() - committed > COMMIT_SECONDS:
                            self._commit(plan)
                            committed = time.monotonic()
                    self._hooks.on_progress(self._state(plan))
                self._device = pool.description
            left = [copy for copies in self._copies.values() for copy in copies]
            self._copies.clear()

    def _batches(self, left: Sequence[Work], size: int) -> Iterator[list[PhotoTask]]:
        """Tasks in order, without the files that are copies of one before them."""
        sizes = Counter(work.entry.size for work in left)
        batch: list[PhotoTask] = []
        for number, work in enumerate(left):
            if sizes[work.entry.size] > 1 and self._is_copy(work):
                continue
            batch.append(PhotoTask(number, work.path, work.known))
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _is_copy(self, work: Work) -> bool:
        """Whether the content is being read elsewhere in this run; the file then waits for it."""
        try:
            content = hash_file(work.path)
        except PhotoError:
            return False  # the worker says what is wrong with it
        if content in self._copies:
            self._copies[content].append(work)
            return True
        self._copies[content] = []
        return False

    def _take(self, work: Work, result: PhotoResult | Lost) -> None:
        if isinstance(result, Lost):
            failure = Failure(work.path, result.reason, f"{work.path}: {result.message}")
            none = np.zeros((0, self._writer.store.recipe.extractor.dim), np.float32)
            result = PhotoResult(b"", None, (), none, failure)
        self._done += 1
        failed = result.failure
        self._failed += failed is not None
        if failed is not None and failed.reason in TRANSIENT_REASONS and self._keep(work, failed):
            return
        held = self._content_of(result)
        if held is None:
            self._writer.put((work.root, work.entry), result)
            self._counts["new" if work.kind == "new" else "changed"] += 1
            self._faces += len(result.faces)
        else:
            self._link(work, held)
        self._settle_copies(result)

    def _keep(self, work: Work, failure: Failure) -> bool:
        """Whether a passing failure leaves the store as it was: what was known stays, and a file
        that is gone again was never there.
        """
        if work.kind == "new" and failure.reason != "vanished":
            return False
        self._failures.append(failure)
        self._counts["unchanged" if work.kind != "new" else "new"] += 1
        return True

    def _link(self, work: Work, content: int) -> None:
        self._writer.link(work.root, work.entry, content)
        if work.kind != "new" and work.content == content:
            self._counts["unchanged"] += 1
        elif self._gone[content]:
            self._found_again.add(self._gone[content].pop())
            self._counts["moved"] += 1
        else:
            self._counts["copies"] += 1

    def _settle_copies(self, result: PhotoResult) -> None:
        """Gives the copies of a photo its content, or its failure if that lies in the bytes."""
        if not result.content_hash:
            return
        for copy in self._copies.pop(result.content_hash, []):
            if result.failure is None:
                content = self._content_of(result)
                if content is None:
                    raise RuntimeError(f"{copy.path}: its content was not kept")
                self._done += 1
                self._link(copy, content)
            else:
                message = result.failure.message.replace(result.failure.path, copy.path, 1)
                failure = dataclasses.replace(result.failure, path=copy.path, message=message)
                self._take(copy, dataclasses.replace(result, failure=failure))

    def _content_of(self, result: PhotoResult) -> int | None:
        return self._writer.content_id(result.content_hash) if result.content_hash else None

    def _state(self, plan: Plan) -> RunState:
        done = plan.unchanged + self._done
        return RunState(done, plan.seen, self._faces, self._failed)

    def _commit(self, plan: Plan) -> None:
        self._writer.commit((self._state(plan).done, plan.seen))

    def _prune(self, plan: Plan) -> tuple[int, int]:
        """Removes what is gone; how many, and how many are kept though gone."""
        remove, kept = settle_gone(plan, self._found_again, self._options.prune)
        for root, key in remove:
            self._writer.remove(root, key)
        return len(remove) - len(self._found_again), kept


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
    )


def _refuse_nothing(plan: Plan, paths: Sequence[Path], held: Store) -> None:
    if plan.seen or plan.away or len(held.files):
        return
    where = ", ".join(str(path) for path in paths)
    if plan.failures:
        raise FacesearchError(plan.failures[0].message)
    others = ", ".join(f"{count:,} {kind}" for kind, count in plan.not_read.most_common(5))
    found = f" (not read: {others})" if others else ""
    raise FacesearchError(f"{where}: no photos here{found}; name a folder that holds some")


def _all_paths(held: Store, paths: Sequence[Path]) -> list[Path]:
    return [*(root.resolve(held.folder) for root in held.roots), *paths]


def _pool(recipe: Recipe, options: IndexOptions, hooks: IndexHooks, jobs: int) -> PhotoPool:
    pixels = options.max_pixels or DEFAULT_MAX_PIXELS
    spec = ProcessSpec(recipe, pixels, RuntimeOptions(device=options.device))
    if hooks.factory is None:
        weights.ensure(recipe.extractor.model, offline=options.offline, report=hooks.on_message)
    factory = spec if hooks.factory is None else hooks.factory(spec)
    return WorkerPool(factory, PoolOptions(jobs, options.item_timeout))


def _timed(pool: PhotoPool, sample: Sequence[Work]) -> tuple[float, float]:
    """Photos a second without the networks' loading time, and faces a photo."""
    times: list[float] = []
    faces = 0
    tasks = ([PhotoTask(number, work.path)] for number, work in enumerate(sample))
    for _, result in pool.run(tasks):
        times.append(time.monotonic())
        faces += 0 if isinstance(result, Lost) else len(result.faces)
    if len(times) < 2:
        return 1.0, float(faces)
    return (len(times) - 1) / max(times[-1] - times[0], 1e-3), faces / len(times)


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Lets Ctrl-C wait until the block is done, so that no commit is cut in two."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt
