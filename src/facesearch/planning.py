"""What an index run has to do: the folders as they are, held against the store as it was.

Nothing here writes or decodes; a plan is plain data.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from facesearch.errors import UsageError
from facesearch.records import TRANSIENT_REASONS, Failure, PhotoEntry, RootAway
from facesearch.sources import FolderSource, root_state
from facesearch.store import Root, Store

GONE_SHARE = 0.1
"""More than this share of a scope's photos gone at once is not believed without ``--prune``."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a root that a run looks at: all below ``under`` ("" for the whole root)."""

    root: int
    folder: Path
    under: str = ""

    def covers(self, key: str) -> bool:
        """Whether the relative path lies in this scope."""
        return not self.under or key == self.under or key.startswith(self.under + "/")

    def path(self, key: str) -> str:
        """The full path of a file of this root."""
        return os.path.join(self.folder, key) if key else str(self.folder)


@dataclass(frozen=True, slots=True)
class Known:
    """A file as the store has it. ``failure`` is why its content failed, or ""."""

    size: int
    mtime_ns: int
    content: int
    failure: str


KnownFiles = dict[tuple[int, str], Known]


@dataclass(frozen=True, slots=True)
class Work:
    """A file to read. ``kind`` is "new", "changed" or "retry"; ``content`` is what the store has
    for it, or -1; ``known`` are the hashes of held contents of the same size, which it might be.
    """

    root: int
    entry: PhotoEntry
    path: str
    kind: str = "new"
    content: int = -1
    known: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """A file that the store knows from ``before``, recognised without reading it."""

    root: int
    entry: PhotoEntry
    content: int
    before: tuple[int, str]


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How to compare. ``retry`` are failure reasons to try again besides the transient ones."""

    exclude: tuple[str, ...] = ()
    verify_content: bool = False
    retry: frozenset[str] = frozenset()


@dataclass(slots=True)
class Plan:
    """What a run does. ``gone`` has, for each scope that could be walked, the known files that were
    not seen, by relative path, with their content; ``excluded`` those left out by a pattern now;
    ``replaced`` those that an outer root took over; ``held`` counts each scope's known files.
    """

    read: list[Work] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    gone: dict[Scope, dict[str, int]] = field(default_factory=dict)
    held: dict[Scope, int] = field(default_factory=dict)
    excluded: list[tuple[int, str]] = field(default_factory=list)
    replaced: list[tuple[int, str]] = field(default_factory=list)
    away: list[RootAway] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    not_read: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0

    @property
    def seen(self) -> int:
        """Photos that are there."""
        return self.unchanged + len(self.read) + len(self.moves)


def choose_scopes(
    store: Store | None, paths: Iterable[Path], home: Path
) -> tuple[list[Root], list[Scope]]:
    """The store's roots with those that ``paths`` add, and the scopes of this run.

    A path inside a known root is a part of that root. Without paths every known root is a scope.

    Args:
        store: the store as it is, or None.
        paths: folders and files that were named.
        home: the store's folder, which roots are also kept relative to.

    Raises:
        UsageError: a named path is not there, or nothing was named and no root is known.
    """
    roots = list(store.roots) if store is not None else []
    named = [Path(os.path.abspath(path)) for path in paths]
    if not named and not roots:
        raise UsageError("no folder given and none known; name one: facesearch index FOLDER")
    if not named:
        folders = [root.resolve(home) for root in roots]
        return roots, [
            Scope(i, folder) for i, folder in enumerate(folders) if not _nested(folder, folders)
        ]
    scopes: list[Scope] = []
    for path in sorted(set(named), key=lambda path: (len(path.parts), path)):
        scope = _inside(roots, path, home)
        if scope is None:
            if not os.path.lexists(path):
                raise UsageError(f"{path}: no such file or folder; check the path")
            roots.append(Root.at(path, home))
            scope = Scope(len(roots) - 1, path)
        if not any(other.root == scope.root and other.covers(scope.under) for other in scopes):
            scopes.append(scope)
    return roots, scopes


def _inside(roots: Sequence[Root], path: Path, home: Path) -> Scope | None:
    for index, root in enumerate(roots):
        folder = root.resolve(home)
        for start in (Path(root.path), folder):
            if path == start:
                return Scope(index, folder)
            if path.is_relative_to(start):
                return Scope(index, folder, path.relative_to(start).as_posix())
    return None


def _nested(folder: Path, folders: Sequence[Path]) -> bool:
    """Whether another root already looks at this one's photos."""
    return any(
        folder != other and folder.is_relative_to(other) and root_state(other) == "there"
        for other in folders
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
    home = store.folder if store is not None else Path()
    folders = [root.resolve(home) for root in roots]
    plan = Plan()
    seen: set[tuple[int, str]] = set()
    for scope in scopes:
        held = [key for root, key in known if root == scope.root and scope.covers(key)]
        state = root_state(scope.folder)
        if state in ("missing", "unreadable") or (state == "empty" and held):
            plan.away.append(RootAway(str(scope.folder), state, len(held)))
            continue
        source = FolderSource(scope.folder, options.exclude, scope.under)
        inner = _inner_roots(known, scope, folders)
        for entry in source.entries():
            seen.add((scope.root, entry.key))
            before = inner.get(scope.path(entry.key))
            if before is None:
                _compare(plan, known.get((scope.root, entry.key)), scope, (source, entry), options)
            else:
                seen.add(before)
                _take_over(plan, known, before, Work(scope.root, entry, scope.path(entry.key)))
        plan.not_read.update(source.not_read)
        plan.failures.extend(source.unreadable)
        plan.held[scope] = len(held)
        unseen = [key for key in held if (scope.root, key) not in seen and not source.hides(key)]
        plan.excluded.extend((scope.root, key) for key in unseen if not source.covers(key))
        plan.gone[scope] = {
            key: known[scope.root, key].content for key in unseen if source.covers(key)
        }
    if store is not None:
        _find_moves(plan, known, seen, folders)
        _name_known_contents(plan, known, store)
    return plan


def _inner_roots(
    known: KnownFiles, scope: Scope, folders: Sequence[Path]
) -> dict[str, tuple[int, str]]:
    """Files of roots that lie inside this scope, by full path: the outer root takes them over."""
    inside = {
        root
        for root, folder in enumerate(folders)
        if root != scope.root and folder.is_relative_to(scope.folder / scope.under)
    }
    return {
        os.path.join(folders[root], key) if key else str(folders[root]): (root, key)
        for root, key in known
        if root in inside
    }


def _take_over(plan: Plan, known: KnownFiles, before: tuple[int, str], work: Work) -> None:
    entry, file = work.entry, known[before]
    if (file.size, file.mtime_ns, file.failure) == (entry.size, entry.mtime_ns, ""):
        plan.moves.append(Move(work.root, entry, file.content, before))
    else:
        plan.read.append(replace(work, kind="changed", content=file.content))
        plan.replaced.append(before)


def _compare(
    plan: Plan,
    before: Known | None,
    scope: Scope,
    found: tuple[FolderSource, PhotoEntry],
    options: PlanOptions,
) -> None:
    source, entry = found
    work = Work(scope.root, entry, scope.path(entry.key))
    if before is None:
        if source.probe(entry) != "not-read":
            plan.read.append(work)  # a failure too: whoever reads it says what is wrong
    elif before.failure in TRANSIENT_REASONS | options.retry:
        plan.read.append(replace(work, kind="retry", content=before.content))
    elif (before.size, before.mtime_ns) != (entry.size, entry.mtime_ns) or options.verify_content:
        plan.read.append(replace(work, kind="changed", content=before.content))
    else:
        plan.unchanged += 1


def _find_moves(
    plan: Plan, known: KnownFiles, seen: set[tuple[int, str]], folders: Sequence[Path]
) -> None:
    """Files at the same relative path, with the same size and time, whose old place is empty."""
    by_facts: dict[tuple[str, int, int], list[tuple[int, str]]] = defaultdict(list)
    for (root, key), file in known.items():
        if (root, key) not in seen and not file.failure:
            by_facts[key, file.size, file.mtime_ns].append((root, key))
    rest = []
    for work in plan.read:
        entry = work.entry
        before = next(
            (
                (root, key)
                for root, key in by_facts.get((entry.key, entry.size, entry.mtime_ns), ())
                if work.kind == "new" and key and not os.path.lexists(folders[root] / key)
            ),
            None,
        )
        if before is None:
            rest.append(work)
        else:
            plan.moves.append(Move(work.root, entry, known[before].content, before))
    plan.read[:] = rest


def _name_known_contents(plan: Plan, known: KnownFiles, store: Store) -> None:
    """Tells each file to read which held contents it could be: those of its size."""
    wanted = {work.entry.size for work in plan.read}
    by_size: dict[int, set[bytes]] = defaultdict(set)
    for file in known.values():
        if file.size in wanted and not file.failure:
            by_size[file.size].add(store.contents.hash[file.content].tobytes())
    plan.read[:] = [
        replace(work, known=tuple(sorted(by_size[work.entry.size])))
        if work.entry.size in by_size and work.kind != "retry"
        else work
        for work in plan.read
    ]


def settle_gone(
    plan: Plan, found_again: Collection[tuple[int, str]], prune: bool
) -> tuple[list[tuple[int, str]], int]:
    """Which of the files that were not seen leave the store, after the run.

    Args:
        plan: the plan of this run.
        found_again: (root, key) of those whose content turned up at another place; they always
            leave their old place.
        prune: also remove where more than a tenth of a scope is gone.

    Returns:
        (root, key) of files to remove, and how many more are kept because too many are gone.
    """
    remove, kept = [*plan.excluded, *found_again], 0
    for scope, keys in plan.gone.items():
        gone = [(scope.root, key) for key in keys if (scope.root, key) not in found_again]
        if gone and root_state(scope.folder) != "there":
            plan.away.append(RootAway(str(scope.folder), "went away during the run", len(gone)))
        elif prune or len(gone) <= GONE_SHARE * plan.held[scope]:
            remove.extend(gone)
        else:
            kept += len(gone)
    return remove, kept
