"""The evaluation from top to bottom: each system in turn, its store, its protocols, its costs."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from facesearch import indexing, private, weights
from facesearch.datasets import Pair, read_pairs
from facesearch.errors import FacesearchError, InterruptedRunError, StoreError, WeightsError
from facesearch.evaluation import costs, kept_results
from facesearch.evaluation.comparing import compare
from facesearch.evaluation.enrolment import Dataset, Enrolled, enrol, held_files, without_forgotten
from facesearch.evaluation.identification import (
    Enrolment,
    IdentificationOptions,
    People,
    identify,
    people_named,
    people_with,
    people_with_mates,
)
from facesearch.evaluation.kept_results import ProbeRecord, SystemRecord
from facesearch.evaluation.open_set import search_open_set, split
from facesearch.evaluation.scoring import Scorer
from facesearch.evaluation.searching import ExpandedScorer, SystemSearch, search_of
from facesearch.evaluation.verification import require_pairs, verify
from facesearch.index_options import IndexOptions, choose_jobs, recipe_of
from facesearch.indexing import IndexHooks
from facesearch.processing import networks
from facesearch.results import (
    Cost,
    DatasetFacts,
    Evaluation,
    Identification,
    OpenSet,
    SystemResult,
    Verification,
)
from facesearch.runtimes import Fetch, RuntimeOptions, make_ready
from facesearch.store import Store, face_keys
from facesearch.systems import SYSTEMS, System

_FIGURES = 3
"""To be raised when what figures are counted from changes, so that kept ones are counted again."""
_log = logging.getLogger(__name__)
_PACKAGES = ("facesearch", "onnxruntime", "tensorflow", "keras", "mtcnn", "numpy", "scikit-learn",
             "pillow", "opencv-python-headless")  # fmt: skip


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What to measure.

    ``protocols`` are "pois", "all-identities", "pairs" and "open-set". ``poi`` names people in
    place of those with exactly ``poi_photos`` photos. ``expand``: identification also with
    embeddings averaged with their neighbours. ``components`` replaces the number of principal
    components of the systems that have them. ``fresh`` computes again what an earlier run found,
    ``offline`` never downloads weights.
    """

    protocols: tuple[str, ...] = ("pois",)
    poi_photos: int = 6
    poi: tuple[str, ...] = ()
    pairs: Path | None = None
    gallery: Enrolment = "central"
    expand: bool = False
    components: int | None = None
    seed: int = 0
    fresh: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class EvalHooks:
    """Where a run tells of itself; ``index`` is handed on to the index runs. ``confirm`` is asked
    before more than a million faces are compared with each other.
    """

    on_message: Callable[[str], None] = lambda text: None
    on_forecast: Callable[[Sequence[costs.Forecast]], None] = lambda forecasts: None
    confirm: Callable[[str], bool] = lambda cost: False
    index: IndexHooks = field(default_factory=IndexHooks)


def evaluate(
    dataset: Dataset,
    systems: Sequence[System],
    store: Path | None,
    options: EvalOptions,
    hooks: EvalHooks,
) -> Evaluation:
    """Runs each system over the data set; one that fails is its own row.

    Args:
        dataset: photos of known people.
        systems: what to compare; the first is what others are compared with.
        store: a store that is used where it fits, besides those kept in the cache folder; photos
            that it has forgotten, or faces on them, are left out of it all.
        options: see ``EvalOptions``.
        hooks: progress and messages.

    Raises:
        DatasetError: a protocol cannot be run on this data set, whatever the system.
        StoreError: what the store has forgotten cannot be read.
        InterruptedRunError: Ctrl-C; finished systems and stores are kept.
    """
    dataset = _allowed(dataset, store, hooks)
    work = _Work(dataset, store, options, hooks)
    hooks.on_forecast([work.forecast(system) for system in systems])
    records = []
    for number, system in enumerate(systems, start=1):
        hooks.on_message(f"{system.name} ({number} of {len(systems)}): {system.title}")
        records.append(work.record(system))
    return Evaluation(
        dataset=_facts(dataset, records),
        systems=tuple(record.result for record in records),
        comparisons=tuple(compare(records, options.seed)),
        seed=options.seed,
        versions=_versions(),
        made_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def measure(
    dataset: Dataset, system: System, store: Path, options: EvalOptions, hooks: EvalHooks
) -> SystemRecord:
    """One system over the data set, with what comparing it needs; see ``evaluate``."""
    return _Work(_allowed(dataset, store, hooks), store, options, hooks).record(system)


def _allowed(dataset: Dataset, store: Path | None, hooks: EvalHooks) -> Dataset:
    """The photos that the store has not forgotten."""
    if store is None or not store.exists():
        return dataset
    left = without_forgotten(dataset, Store.open(store))
    if lacking := len(dataset.keys) - len(left.keys):
        photos = "1 photo" if lacking == 1 else f"{lacking:,} photos"
        hooks.on_message(f"left out {photos} that {store} has forgotten, or faces of")
    return left


@dataclass(frozen=True, slots=True)
class _Protocols:
    """What the protocols found for one system; see ``SystemResult`` and ``SystemRecord``."""

    identification: tuple[Identification, ...]
    verification: Verification | None
    open_set: OpenSet | None
    probes: tuple[ProbeRecord, ...]
    right_pairs: tuple[float, ...]


class _Work:
    """One evaluation: the protocols that all its systems go through."""

    def __init__(
        self, dataset: Dataset, store: Path | None, options: EvalOptions, hooks: EvalHooks
    ) -> None:
        self._dataset = dataset
        self._store = store
        self._options = options
        self._hooks = hooks
        # Before any system runs, for what is wrong with these is wrong with all of them.
        self._people = list(_people(dataset, options))
        self._pairs = _pairs(dataset, options)
        if "open-set" in options.protocols:
            split(dataset.person, options.seed)

    def forecast(self, system: System) -> costs.Forecast:
        """What the system will take."""
        photos = len(self._dataset.keys)
        try:
            _, to_read = self._store_of(system)
        except (FacesearchError, OSError):
            to_read = photos  # its row will say what is wrong
        jobs = choose_jobs(IndexOptions(), to_read, system.recipe.extractor.model)
        counts = self._dataset.counts
        probes = sum(counts[name] for people in self._people for name in people.names)
        if "open-set" in self._options.protocols:
            probes += photos
        return costs.forecast(
            system, photos, costs.Work(to_read, probes * (1 + self._options.expand)), jobs
        )

    def record(self, system: System) -> SystemRecord:
        """The system's row, whatever becomes of it."""
        row = SystemResult(system.name, system.title, system.source, "done")
        try:
            self._require_weights(system)
            return self._measured(system, row)
        except WeightsError as error:
            model = system.recipe.extractor.model
            remedy = weights.remedy(model)
            message = str(error).partition("; run:")[0]
            row = dataclasses.replace(row, state="weights missing", message=message, remedy=remedy)
        except (InterruptedRunError, KeyboardInterrupt):
            raise
        except FacesearchError as error:
            row = dataclasses.replace(row, state="failed", message=str(error))
        except Exception as error:  # memory, disk, a library: one system's failure is its own
            _log.debug("%s failed", system.name, exc_info=True)
            message = f"{type(error).__name__}: {error}; facesearch --debug eval says where"
            row = dataclasses.replace(row, state="failed", message=message)
        self._hooks.on_message(f"{system.name}: {row.message}")
        return SystemRecord(row)

    def _require_weights(self, system: System) -> None:
        fetch = Fetch(self._options.offline, self._hooks.on_message, self._hooks.index.transfer_bar)
        make_ready(networks(system.recipe), RuntimeOptions(), fetch)

    def _measured(self, system: System, row: SystemResult) -> SystemRecord:
        path = self._indexed(system)
        store = Store.open(path)
        enrolled = enrol(store, self._dataset)
        key = self._key(system, store, enrolled)
        kept = None if self._options.fresh else kept_results.load(self._home(), key)
        if kept is not None:
            self._hooks.on_message(f"{system.name}: nothing has changed, taken from the last run")
            return kept
        with costs.PeakMemory().watched() as memory:
            search = search_of(system, store, enrolled, self._options.components)
            measured = self._protocols(store, enrolled, search.scorer)
            timed = self._timed(store, enrolled, search)
        recipe = store.recipe
        untrained = _untrained(recipe.extractor.model)
        row = dataclasses.replace(
            row,
            state="done" if untrained is None else "untrained",
            message="" if untrained is None else f"random weights, seed {untrained}: no results",
            notes=(*_notes(system), *search.notes, *_runs_on(store)),
            recipe=recipe.name,
            recipe_digest=recipe.recipe_digest,
            space_digest=recipe.space_digest,
            search=_search_text(system, self._options),
            weights={recipe.extractor.model: recipe.extractor.weights}
            | dict(zip(("P-Net", "R-Net", "O-Net"), recipe.detector.weights, strict=False))
            | search.made_of,
            cost=_cost(store, timed, memory.bytes),
            identification=measured.identification,
            verification=measured.verification,
            open_set=measured.open_set,
        )
        record = SystemRecord(
            row,
            measured.probes,
            measured.right_pairs,
            enrolled.identical(),
            int(enrolled.failed.sum()),
        )
        kept_results.keep(self._home(), key, record)
        return record

    def _protocols(self, store: Store, enrolled: Enrolled, scorer: Scorer) -> _Protocols:
        options = self._options
        found, probes = [], []
        scorers: list[tuple[bool, Scorer]] = [(False, scorer)]
        if options.expand and store.recipe.subject == "face":
            scorers.append((True, ExpandedScorer(store, enrolled, self._hooks.confirm)))
        for people in self._people:
            self._hooks.on_message(
                f"searching for {len(people.names):,} people ({people.protocol})"
            )
            for expanded, each in scorers:
                settings = IdentificationOptions(
                    gallery=options.gallery,
                    expanded=expanded,
                    sheets=people.protocol == "pois",
                    seed=options.seed,
                    groups=dict(self._dataset.groups),
                )
                result, scores = identify(enrolled, each, people, settings)
                found.append(result)
                probes.append(ProbeRecord.of(people.protocol, expanded, scores))
        verification, right = None, None
        if self._pairs is not None:
            self._hooks.on_message(f"comparing {len(self._pairs):,} pairs")
            verification, right = verify(enrolled, scorer, self._pairs, options.seed)
        open_set = None
        if "open-set" in options.protocols:
            open_set = search_open_set(enrolled, scorer, options.gallery, options.seed)
        return _Protocols(
            tuple(found),
            verification,
            open_set,
            tuple(probes),
            () if right is None else tuple(right.tolist()),
        )

    def _timed(
        self, store: Store, enrolled: Enrolled, search: SystemSearch
    ) -> costs.QueryTime | None:
        step = max(1, len(enrolled) // costs.TIMED_QUERIES)
        photos = [self._dataset.folder / key for key in enrolled.keys[::step]]
        return costs.time_queries(store, search.find, photos[: costs.TIMED_QUERIES])

    def _indexed(self, system: System) -> Path:
        """The system's store, with all photos of the data set in it."""
        path, to_read = self._store_of(system)
        if not to_read:
            return path
        self._hooks.on_message(f"{system.name}: indexing {to_read:,} photos into {path}")
        wanted = frozenset(self._dataset.keys)
        options = IndexOptions(system=system.name, only=wanted, offline=self._options.offline)
        private.make_folder(path.parent)
        _require_room(system, path, to_read)
        with costs.PeakMemory().watched() as memory:
            summary = indexing.index([self._dataset.folder], path, options, self._hooks.index)
        # A run that went on from an earlier one, or found most photos merely touched, tells little.
        if summary.new + summary.changed + summary.copies == len(wanted):
            costs.keep_cost(
                path, costs.BuildCost(summary.photos_per_second, memory.bytes, summary.device)
            )
        return path

    def _store_of(self, system: System) -> tuple[Path, int]:
        """The store to use and how many of the photos it lacks."""
        named = system.name in SYSTEMS
        recipe = recipe_of(system.name) if named else system.recipe
        given = self._store
        if given is not None and given.exists():
            held = Store.open(given)
            fits = held.recipe.recipe_digest == recipe.recipe_digest
            lacking = self._lacks(held) if fits else len(self._dataset.keys)
            if fits and not lacking:
                return given, 0
            if not named:
                raise StoreError(
                    f"{given}: lacks {lacking:,} photos of {self._dataset.folder} as they are now; "
                    "bring it up to date with facesearch index"
                )
        own = self._home() / f"{recipe.name}-{recipe.recipe_digest[:12]}.npz"
        return own, self._lacks(Store.open(own)) if own.exists() else len(self._dataset.keys)

    def _lacks(self, held: Store) -> int:
        """How many of the photos are not in the store as they are on disk now."""
        files, rows = held.files, held_files(held, self._dataset.folder)
        lacking = 0
        for key in self._dataset.keys:
            row = rows.get(key)
            stat = os.stat(self._dataset.folder / key)  # noqa: PTH116 - 13,000 of them
            known = row is not None and (int(files.size[row]), int(files.mtime_ns[row])) == (
                stat.st_size,
                stat.st_mtime_ns,
            )
            lacking += not known
        return lacking

    def _home(self) -> Path:
        """Where this data set's stores and results are kept."""
        return weights.evaluations_of(self._dataset.folder)

    def _key(self, system: System, store: Store, enrolled: Enrolled) -> str:
        """What the system's figures follow from, as a hash."""
        facts = (
            _FIGURES,
            system,
            store.recipe,
            face_keys(store).digest,
            hashlib.sha256(store.contents.hash[enrolled.content].tobytes()).hexdigest(),
            self._dataset,
            dataclasses.replace(self._options, fresh=False, offline=False),
            self._pairs,
            costs.kept_cost(store.path),
            version("facesearch"),
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()


def _cost(store: Store, timed: costs.QueryTime | None, peak: int) -> Cost:
    built = costs.kept_cost(store.path)
    return Cost(
        photos_per_second=built.photos_per_second if built else None,
        seconds_per_query=timed.whole if timed else None,
        search_seconds=timed.search if timed else None,
        store_bytes=store.size,
        peak_memory_bytes=max(peak, built.peak_memory_bytes) if built else peak,
        dim=store.dim,
        rows=len(store.faces),
    )


def _people(dataset: Dataset, options: EvalOptions) -> Sequence[People]:
    found = []
    if options.poi:
        found.append(people_named(dataset.names, options.poi))
    elif "pois" in options.protocols:
        found.append(people_with(dataset.names, options.poi_photos))
    if "all-identities" in options.protocols:
        found.append(people_with_mates(dataset.names))
    return found


def _pairs(dataset: Dataset, options: EvalOptions) -> list[Pair] | None:
    if "pairs" not in options.protocols or options.pairs is None:
        return None
    pairs = read_pairs(options.pairs)
    require_pairs(dataset.keys, pairs)
    return pairs


def _require_room(system: System, path: Path, to_read: int) -> None:
    """Raises where the store would not fit on the disk."""
    needed = costs.forecast(system, to_read, costs.Work(to_read, 0), 1).disk_bytes
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise StoreError(
            f"{path}: needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; make room, set "
            "FACESEARCH_HOME to another disk, or use --limit"
        )


def _untrained(model: str) -> int | None:
    kept = weights.kept(model)
    return None if kept is None else kept.untrained_seed


def _runs_on(store: Store) -> Sequence[str]:
    """What ran the networks, where this program made the store itself."""
    built = costs.kept_cost(store.path)
    return (f"indexed on {built.runs_on}",) if built and built.runs_on else ()


def _notes(system: System) -> Sequence[str]:
    """What a reader of the row must know of its network."""
    model = system.recipe.extractor.model
    if weights.find(model).kind != "trained":
        return ()
    kept = weights.kept(model)
    facts = {} if kept is None else kept.facts
    if not facts.get("photos"):
        return ("what it was trained on is not known: perhaps the photos that it is evaluated on",)
    trained = f"trained on {facts['photos']:,} photos of {facts['people']:,} people"
    if not facts.get("without_pois"):
        return (f"{trained}, among them photos that it is evaluated on",)
    return (
        f"{trained}, without those who have exactly {facts['poi_photos']} photos; other protocols "
        "than --pois hold people that it was trained on",
    )


def _search_text(system: System, options: EvalOptions) -> str:
    search = system.search
    components = options.components or search.components
    extra = f", {components} components" if search.components else ""
    return f"{search.backend}, {search.k} neighbours{extra}"


def _facts(dataset: Dataset, records: Sequence[SystemRecord]) -> DatasetFacts:
    limit = dataset.limit
    order = "path"
    if limit is not None and limit.order == "random":
        order = f"random, seed {limit.seed}"
    identical = next((record.identical for record in records if record.identical), ())
    return DatasetFacts(
        folder=str(dataset.folder),
        photos=len(dataset.keys),
        people=len(dataset.counts),
        failed=max((record.failed for record in records), default=0),
        identical=identical,
        limit=None if limit is None else limit.photos,
        order=order,
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "cores": str(psutil.cpu_count() or 1)}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
