"""What an index run has to do: the folders as they are, held against the store as it was.

Nothing here writes or decodes; a plan is plain data.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from facesearch.locations import as_location, is_address, join
from facesearch.photos import Patience
from facesearch.records import TRANSIENT_REASONS, Failure, PhotoEntry, RootAway
from facesearch.scoping import Place, Scope, way_to
from facesearch.sources import PATIENCE, PhotoSource, is_gone, open_source, root_state, trouble_of
from facesearch.store import Root, Store

GONE_SHARE = 0.1
"""More than this share of a scope's photos gone at once is not believed without ``--prune``."""


@dataclass(frozen=True, slots=True)
class Known:
    """A file as the store has it. ``failure`` is why its content failed, or ""."""

    size: int
    mtime_ns: int
    content: int
    failure: str


KnownFiles = dict[Place, Known]


@dataclass(frozen=True, slots=True)
class Work:
    """A file to read. ``kind`` is "new", "changed" or "retry"; ``content`` is what the store has
    for it, or -1; ``perhaps_held``: a held content has the same size, so it might be that one;
    ``before`` is where the store has it if it belongs to another root from now on.
    """

    root: int
    entry: PhotoEntry
    path: str
    kind: str = "new"
    content: int = -1
    perhaps_held: bool = False
    before: Place | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A file that the store knows from ``before``, recognised without reading it."""

    root: int
    entry: PhotoEntry
    content: int
    before: Place


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How to compare. ``retry`` are failure reasons to try again besides the transient ones;
    ``only`` are the relative paths to look at, None for all. ``patience`` is how many seconds a
    disk may take for each answer; ``on_listed`` is told after each photo how many were found.
    """

    exclude: tuple[str, ...] = ()
    only: frozenset[str] | None = None
    verify_content: bool = False
    retry: frozenset[str] = frozenset()
    patience: float = PATIENCE
    on_listed: Callable[[int], None] = lambda seen: None


@dataclass(slots=True)
class Plan:
    """What a run does.

    ``taken_over`` are photos that another root knew at the very same place. Files that the store
    knows and that were not seen are ``gone``, by scope, with their content, or ``hidden`` where the
    disk did not let us look. ``dropped`` are those that leave in any case: left out by a pattern
    now, no photos any more, or known twice. ``unseen`` has the full paths of all but the last.
    ``held`` and ``there`` count each scope's photos in the store and on the disk.
    """

    read: list[Work] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    taken_over: list[Move] = field(default_factory=list)
    gone: dict[Scope, dict[Place, int]] = field(default_factory=dict)
    hidden: list[Place] = field(default_factory=list)
    dropped: list[Place] = field(default_factory=list)
    unseen: set[str] = field(default_factory=set)
    held: Counter[Scope] = field(default_factory=Counter)
    there: Counter[Scope] = field(default_factory=Counter)
    away: list[RootAway] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    not_read: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0

    @property
    def seen(self) -> int:
        """Photos that are there."""
        return self.unchanged + len(self.read) + len(self.moves) + len(self.taken_over)

    def looked_at(self, path: str) -> bool:
        """Whether this run saw the file at this full path."""
        wholes = (scope.path(scope.under) for scope in self.there)
        return path not in self.unseen and any(
            path == whole or path.startswith(whole.rstrip("/") + "/") for whole in wholes
        )


def known_files(store: Store) -> KnownFiles:
    """Every live file of the store by (root, relative path)."""
    files, contents = store.files, store.contents
    reasons = {
        int(row): found[0]
        for row in np.flatnonzero(contents.failed)
        if (found := contents.failure(int(row))) is not None
    }
    rows = zip(
        files.root.tolist(),
        files.paths(),
        files.size.tolist(),
        files.mtime_ns.tolist(),
        files.content.tolist(),
        strict=True,
    )
    return {
        (root, path): Known(size, mtime, content, reasons.get(content, ""))
        for root, path, size, mtime, content in rows
    }


def make_plan(
    store: Store | None, scopes: Sequence[Scope], roots: Sequence[Root], options: PlanOptions
) -> Plan:
    """Lists the scopes' photos and compares them with what the store holds."""
    known = known_files(store) if store is not None else {}
    plan = Plan()
    seen: set[Place] = set()
    for scope in scopes:
        held, twice = _held_in(scope, known, roots, options.exclude)
        held = {key: place for key, place in held.items() if _wanted(key, options)}
        state = root_state(scope.folder, options.patience)
        if state not in ("there", "empty") or (state == "empty" and held):
            plan.away.append(RootAway(str(scope.folder), state, len(held)))
            trouble = trouble_of(scope.folder) if state == "unreadable" else None
            plan.failures.extend([trouble] if trouble is not None else [])
            continue
        source = open_source(scope.folder, options.exclude, scope.under, options.patience)
        files = {key: (place, known[place]) for key, place in held.items()}
        unseen = _compare_all(plan, scope, source, files, options)
        seen.update(place for key, place in held.items() if key not in unseen)
        _sort_unseen(plan, scope, source, unseen, roots)
        plan.dropped.extend(twice)
        plan.not_read.update(source.not_read)
        plan.failures.extend(source.unreadable)
        plan.held[scope] = len(held)
    if store is not None:
        _find_moves(plan, known, seen, _Emptied(roots, options.patience))
        _mark_perhaps_held(plan, known)
    return plan


def _held_in(
    scope: Scope, known: KnownFiles, roots: Sequence[Root], exclude: tuple[str, ...]
) -> tuple[dict[str, Place], list[Place]]:
    """The known files of a scope by relative path, those of roots that lie inside it too, which it
    takes over; and the places of those that both have.
    """
    prefixes = {scope.root: ""}
    for index, root in enumerate(roots):
        if index != scope.root and (key := way_to(scope.folder, as_location(root.path), exclude)):
            prefixes[index] = key
    held: dict[str, Place] = {}
    twice: list[Place] = []
    for place in known:
        if place[0] not in prefixes:
            continue
        key = "/".join(part for part in (prefixes[place[0]], place[1]) if part)
        if not scope.covers(key):
            continue
        if place != (scope.root, key) and (scope.root, key) in known:
            twice.append(place)
        else:
            held[key] = place
    return held, twice


def _compare_all(
    plan: Plan,
    scope: Scope,
    source: PhotoSource,
    files: dict[str, tuple[Place, Known]],
    options: PlanOptions,
) -> dict[str, tuple[Place, Known]]:
    """Compares all photos of a scope with the files known there; those that were not seen."""
    unseen = dict(files)
    before = plan.seen
    whole = as_location(scope.path(scope.under))
    for entry in () if is_gone(whole, Patience(options.patience)) else source.entries():
        if not _wanted(entry.key, options):
            continue
        _compare(plan, scope, source, (entry, files.get(entry.key)), options)
        unseen.pop(entry.key, None)
        options.on_listed(plan.seen)
    if source.unreadable:  # what hides by now need not be read any more
        plan.read[:] = [
            work
            for work in plan.read
            if work.root != scope.root or not source.hides(work.entry.key)
        ]
    plan.there[scope] = plan.seen - before
    return unseen


def _wanted(key: str, options: PlanOptions) -> bool:
    return options.only is None or key in options.only


def _compare(
    plan: Plan,
    scope: Scope,
    source: PhotoSource,
    file: tuple[PhotoEntry, tuple[Place, Known] | None],
    options: PlanOptions,
) -> None:
    """Enters one file into the plan: as it is now, and as it was if it is known."""
    entry, before = file
    if before is None:
        if source.probe(entry) != "not-read":
            # A failure too: whoever reads it says what is wrong.
            plan.read.append(Work(scope.root, entry, scope.path(entry.key)))
        return
    place, known = before
    own = place == (scope.root, entry.key)
    again = known.failure in TRANSIENT_REASONS or known.failure in options.retry
    same = (known.size, known.mtime_ns) == (entry.size, entry.mtime_ns)
    if same and not again and not options.verify_content:
        if own:
            plan.unchanged += 1
        else:
            plan.taken_over.append(Move(scope.root, entry, known.content, place))
    elif source.probe(entry) == "not-read":
        plan.dropped.append(place)
    else:
        kind = "retry" if again else "changed"
        work = Work(scope.root, entry, scope.path(entry.key), kind, known.content)
        plan.read.append(work if own else replace(work, before=place))


def _sort_unseen(
    plan: Plan,
    scope: Scope,
    source: PhotoSource,
    unseen: dict[str, tuple[Place, Known]],
    roots: Sequence[Root],
) -> None:
    """Says of each known file that was not seen what that means."""
    inner = {place[0] for place, _ in unseen.values()} - {scope.root}
    states = {root: root_state(as_location(roots[root].path)) for root in inner}
    away: Counter[int] = Counter()
    gone = plan.gone.setdefault(scope, {})
    for key, (place, file) in unseen.items():
        if states.get(place[0], "there") != "there":
            away[place[0]] += 1
        elif not source.covers(key):
            plan.dropped.append(place)
            continue
        elif source.hides(key):
            plan.hidden.append(place)
        else:
            gone[place] = file.content
        plan.unseen.add(scope.path(key))
    plan.away.extend(RootAway(roots[root].path, states[root], away[root]) for root in away)


class _Emptied:
    """Whether places of the store are surely empty; a root that does not answer is asked once."""

    def __init__(self, roots: Sequence[Root], patience: float) -> None:
        self._roots = roots
        self._seconds = patience
        self._patience = Patience(patience)
        self._silent: dict[int, bool] = {}

    def __call__(self, place: Place) -> bool:
        root = self._roots[place[0]].path
        if place[0] not in self._silent:
            state = root_state(as_location(root), self._seconds)
            self._silent[place[0]] = state == "not answering"
        if self._silent[place[0]]:
            return False
        return is_gone(as_location(join(root, place[1])), self._patience)


def _find_moves(plan: Plan, known: KnownFiles, seen: set[Place], emptied: _Emptied) -> None:
    """Files at the same relative path, with the same size and time, whose old place is empty."""
    by_facts: dict[tuple[str, int, int], list[Place]] = defaultdict(list)
    for (root, key), file in known.items():
        if (root, key) not in seen and key and not file.failure:
            by_facts[key, file.size, file.mtime_ns].append((root, key))
    rest = []
    for work in plan.read:
        entry = work.entry
        places = by_facts.get((entry.key, entry.size, entry.mtime_ns), [])
        empty = (place for place in places if emptied(place))
        before = next(empty, None) if work.kind == "new" else None
        if before is None:
            rest.append(work)
        else:
            places.remove(before)
            plan.moves.append(Move(work.root, entry, known[before].content, before))
    plan.read[:] = rest


def _mark_perhaps_held(plan: Plan, known: KnownFiles) -> None:
    sizes = {file.size for file in known.values() if not file.failure}
    plan.read[:] = [replace(work, perhaps_held=_is_likely(work, sizes)) for work in plan.read]


def _is_likely(work: Work, sizes: set[int]) -> bool:
    """Whether it pays to hash a file before it is read. An object would come over the network
    twice, so only one that was written anew at the same address and size, with the same bytes.
    """
    return work.entry.size in sizes and (work.content >= 0 or not is_address(work.path))


def settle_gone(
    plan: Plan, found_again: Collection[Place], prune: bool, patience: float = PATIENCE
) -> tuple[list[Place], int]:
    """Which of the files that were not seen leave the store, after the run.

    Args:
        plan: the plan of this run.
        found_again: those whose content turned up at another place; they have left already.
        prune: also remove where more than a tenth of a scope's photos is gone.
        patience: seconds that a disk may take to say that it is there.

    Returns:
        Files to remove, and how many more are kept because too many are gone.
    """
    remove, kept = [place for place in plan.dropped if place not in found_again], 0
    for scope, places in plan.gone.items():
        gone = [place for place in places if place not in found_again]
        there = plan.there[scope]
        state = root_state(scope.folder, patience)
        if state != "there" and (gone or there):
            why = f"{state} since this run began"
            plan.away.append(RootAway(str(scope.folder), why, plan.held[scope]))
        elif prune or len(gone) <= GONE_SHARE * (there + len(gone)):
            # Not of what was held: a run that goes on after a kill must come to the same end.
            remove.extend(gone)
        else:
            kept += len(gone)
    return remove, kept
