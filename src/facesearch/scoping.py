"""Which folders an index run looks at: the roots of the store, and parts of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facesearch.errors import UsageError
from facesearch.photos import printable
from facesearch.sources import FolderSource, root_state
from facesearch.store import Root, Store

Place = tuple[int, str]
"""Where the store has a file: index of its root, relative path."""


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


def choose_scopes(
    store: Store | None, paths: Iterable[Path], home: Path, exclude: tuple[str, ...] = ()
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
    named = [Path(os.path.abspath(path)) for path in paths]
    if not named and not roots:
        raise UsageError("no folder given and none known; name one: facesearch index FOLDER")
    if not named:
        return roots, [
            Scope(index, Path(root.path))
            for index, root in enumerate(roots)
            if not _lies_inside(root, roots, exclude)
        ]
    scopes: list[Scope] = []
    for path in sorted(set(named), key=lambda path: (len(path.parts), path)):
        scope = _inside(roots, path, exclude)
        if is_gone(path) and (scope is None or (scope.under and not _holds(store, scope))):
            raise UsageError(f"{printable(path)}: no such file or folder; check the path")
        if scope is None:
            roots.append(Root.at(path, home))
            scope = Scope(len(roots) - 1, path)
        if not any(other.root == scope.root and other.covers(scope.under) for other in scopes):
            scopes.append(scope)
    return roots, scopes


def _as_found(root: Root, home: Path) -> Root:
    """The root where it is now: it may have moved together with the store."""
    folder = root.resolve(home)
    return root if is_gone(folder) else replace(Root.at(folder, home), id=root.id)


def _inside(roots: Sequence[Root], path: Path, exclude: tuple[str, ...]) -> Scope | None:
    """The part of a root that a path is; of the outermost root that looks there."""
    by_depth = sorted(range(len(roots)), key=lambda index: len(Path(roots[index].path).parts))
    for index in by_depth:
        folder = Path(roots[index].path)
        if path == folder:
            return Scope(index, folder)
        if comes_to(folder, path, exclude):
            return Scope(index, folder, path.relative_to(folder).as_posix())
    return None


def comes_to(folder: Path, path: Path, exclude: tuple[str, ...]) -> bool:
    """Whether the path is inside the folder and a walk would come there."""
    if path == folder or not path.is_relative_to(folder):
        return False
    key = path.relative_to(folder).as_posix()
    return FolderSource(folder, exclude).covers(key, folder=_is_folder(path))


def _lies_inside(root: Root, roots: Sequence[Root], exclude: tuple[str, ...]) -> bool:
    """Whether another root that is there looks at this one's photos too."""
    folder = Path(root.path)
    return any(
        comes_to(Path(other.path), folder, exclude) and root_state(Path(other.path)) == "there"
        for other in roots
    )


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
        or (_is_folder(Path(root.path)) and not _lies_inside(root, store.roots, exclude))
    ]


def is_gone(path: Path) -> bool:
    """Whether there is surely nothing; a disk that gives errors says nothing of what it holds."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False
