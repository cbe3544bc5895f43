"""The store that a run writes: as it is, or built anew beside the old one, losing nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facesearch.errors import (
    FacesearchError,
    RecipeMismatchError,
    StoreError,
    StoreMissingError,
)
from facesearch.index_options import (
    IndexOptions,
    choose_recipe,
    plan_options,
    with_remembered,
)
from facesearch.photos import printable
from facesearch.planning import make_plan, settle_gone
from facesearch.recipes import Recipe
from facesearch.scoping import choose_scopes
from facesearch.sources import root_state
from facesearch.store import Store, StoreWriter


@dataclass(frozen=True, slots=True)
class Target:
    """A store, held for writing. ``options`` are those asked for with what the store remembers;
    ``anew``: it is built beside the old one.
    """

    writer: StoreWriter
    options: IndexOptions
    anew: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """What a run means to do with the store as it is; ``held`` is None where there is none."""

    held: Store | None
    options: IndexOptions
    recipe: Recipe
    anew: bool


def intent_of(paths: Sequence[Path], store: Path, options: IndexOptions) -> Intent:
    """What a run with these options does with the store.

    Raises:
        UsageError: a named path is not there, or there is nothing to index.
        RecipeMismatchError: options differ from those the store was made with.
        StoreError: the store cannot be read.
        FacesearchError: built anew, it would lack photos that are not there now.
    """
    held = _held(store, options)
    options = with_remembered(held, options)
    recipe = choose_recipe(held, options)
    anew = options.rebuild or (held is not None and recipe != held.recipe)
    # Before the lock is taken, for a mistyped name should leave nothing behind.
    choose_scopes(held, paths, store.parent, options.exclude)
    if held is not None and anew:
        _refuse_losses(held, paths, options)
    return Intent(held, options, recipe, anew)


def take_for_writing(paths: Sequence[Path], store: Path, options: IndexOptions) -> Target:
    """Takes the store's lock. What the store says counts as of then: another process may have
    written it since it was first read.

    Raises:
        StoreBusyError: another process writes.
        UsageError, StoreError, RecipeMismatchError, FacesearchError: as ``intent_of``.
    """
    while True:
        intent = intent_of(paths, store, options)
        try:
            writer = StoreWriter.open(store, intent.recipe, wait=options.wait, fresh=intent.anew)
        except RecipeMismatchError:
            if _head(intent.held) == _head(_held(store, options)):
                raise
            continue
        if _head(intent.held) == _head(_held(store, options)):
            return Target(writer, intent.options, intent.anew)
        writer.close()


def all_paths(held: Store, paths: Sequence[Path]) -> list[Path]:
    """The store's roots, and what was named besides."""
    return [*(root.resolve(held.folder) for root in held.roots), *paths]


def _held(store: Path, options: IndexOptions) -> Store | None:
    """The store as it is; a broken one counts as none where it is to be built anew."""
    try:
        return Store.open(store)
    except StoreMissingError:
        return None
    except StoreError:
        if options.rebuild:
            return None  # the writer still refuses a file that is no store
        raise


def _head(held: Store | None) -> object:
    return held and held.head


def _refuse_losses(held: Store, paths: Sequence[Path], options: IndexOptions) -> None:
    """Raises where a store built anew would lack photos of the old one that are not there now."""
    try:
        roots, scopes = choose_scopes(held, all_paths(held, paths), held.folder, options.exclude)
        plan = make_plan(held, scopes, roots, plan_options(held, options))
    except StoreError as error:
        for root in held.roots:
            if root_state(root.resolve(held.folder)) != "there":
                raise FacesearchError(
                    f"{printable(root.path)}: away, and a new store would lack its photos; plug it "
                    "in before --rebuild, or forget it with facesearch roots drop"
                ) from error
        return  # whatever was held lies in folders that are read anew
    for away in plan.away:
        if away.kept:
            raise FacesearchError(
                f"{printable(away.root)}: {away.why}, a new store would lack its {away.kept:,} "
                "photos; plug it in, or forget it with facesearch roots drop"
            )
    _, kept = settle_gone(plan, {move.before for move in plan.moves}, options.prune)
    if kept or plan.hidden:
        raise FacesearchError(
            f"{printable(held.path)}: {kept + len(plan.hidden):,} of its photos cannot be found, a "
            "new store would lack them; bring them back, or add --prune"
        )
