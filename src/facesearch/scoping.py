"""Which folders an index run looks at: the roots of the store, and parts of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facesearch.errors import UsageError
from facesearch.locations import Address, Location, as_location, join, key_below, parts, whole
from facesearch.photos import printable
from facesearch.sources import is_folder, is_gone, open_source, root_state
from facesearch.store import Root, Store

Place = tuple[int, str]
"""Where the store has a file: index of its root, relative path."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a root that a run looks at: all below ``under`` ("" for the whole root)."""

    root: int
    folder: Location
    under: str = ""

    def covers(self, key: str) -> bool:
        """Whether the relative path lies in this scope."""
        return not self.under or key == self.under or key.startswith(self.under + "/")

    def path(self, key: str) -> str:
        """The full path or address of a file of this root."""
        return join(self.folder, key)


def choose_scopes(
    store: Store | None, paths: Iterable[Location], home: Path, exclude: tuple[str, ...] = ()
) -> tuple[list[Root], list[Scope]]:
    """The store's roots with those that ``paths`` add, and the scopes of this run.

    A path inside a known root is a part of that root. Without paths every known root is a scope,
    unless it lies inside another one that is there.

    Args:
        store: the store as it is, or None.
        paths: folders and files that were named.
        home: the store's folder, which roots are also kept relative to.
        exclude: patterns; a path that they leave out of a root can be a root of its own.

    Raises:
        UsageError: a named path is not there, or nothing was named and no root is known.
    """
    roots = [_as_found(root, home) for root in store.roots] if store is not None else []
    named = [whole(path) for path in paths]
    if not named and not roots:
        raise UsageError("no folder given and none known; name one: facesearch index FOLDER")
    if not named:
        return roots, [
            Scope(index, as_location(root.path))
            for index, root in enumerate(roots)
            if not _lies_inside(root, roots, exclude)
        ]
    scopes: list[Scope] = []
    for path in sorted(set(named), key=lambda path: (len(parts(path)), parts(path))):
        scope = _inside(roots, path, exclude)
        if is_gone(path) and (scope is None or (scope.under and not _holds(store, scope))):
            raise UsageError(_nothing_at(path))
        if scope is None:
            roots.append(Root.at(path, home))
            scope = Scope(len(roots) - 1, path)
        if not any(other.root == scope.root and other.covers(scope.under) for other in scopes):
            scopes.append(scope)
    return roots, scopes


def _as_found(root: Root, home: Path) -> Root:
    """The root where it is now: it may have moved together with the store."""
    folder = root.resolve(home)
    if isinstance(folder, Address):
        return root
    return root if is_gone(folder) else replace(Root.at(folder, home), id=root.id)


def _nothing_at(path: Location) -> str:
    if isinstance(path, Address):
        return f"{printable(path)}: nothing lies there; check the address"
    return f"{printable(path)}: no such file or folder; check the path"


def _inside(roots: Sequence[Root], path: Location, exclude: tuple[str, ...]) -> Scope | None:
    """The part of a root that a path is; of the outermost root that looks there."""
    folders = [as_location(root.path) for root in roots]
    for index in sorted(range(len(roots)), key=lambda index: len(parts(folders[index]))):
        folder = folders[index]
        if path == folder:
            return Scope(index, folder)
        key = way_to(folder, path, exclude)
        if key:
            return Scope(index, folder, key)
    return None


def way_to(folder: Location, path: Location, exclude: tuple[str, ...]) -> str:
    """The way from the folder to a path inside it, if a walk would come there; else ""."""
    key = key_below(folder, path)
    if not key:
        return ""
    source = open_source(folder, exclude)
    # Asked only where it matters, for an address costs a request.
    covered = source.covers(key) and (source.covers(key, folder=True) or not is_folder(path))
    return key if covered else ""


def _lies_inside(root: Root, roots: Sequence[Root], exclude: tuple[str, ...]) -> bool:
    """Whether another root that is there looks at this one's photos too."""
    folder = as_location(root.path)
    others = (as_location(other.path) for other in roots)
    return any(way_to(other, folder, exclude) and root_state(other) == "there" for other in others)


def _holds(store: Store | None, scope: Scope) -> bool:
    return store is not None and any(
        root == scope.root and scope.covers(key)
        for root, key in zip(store.files.root.tolist(), store.files.paths(), strict=True)
    )


def needed_roots(store: Store, exclude: tuple[str, ...]) -> list[Root]:
    """The roots without those that hold nothing any more: single files, folders that are not there,
    and folders inside another root, which has taken their photos over.
    """
    held = set(store.files.root.tolist())
    return [
        root
        for index, root in enumerate(store.roots)
        if index in held
        or (is_folder(as_location(root.path)) and not _lies_inside(root, store.roots, exclude))
    ]
