"""The store that a run writes: as it is, or built anew beside the old one, losing nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facesearch.addresses import EngineAddress, StoreName
from facesearch.encrypting import encrypt
from facesearch.errors import (
    FacesearchError,
    RecipeMismatchError,
    StoreError,
    StoreMissingError,
    UsageError,
)
from facesearch.gallery.opening import engine_of
from facesearch.gallery.writing import GalleryWriter
from facesearch.index_options import (
    IndexOptions,
    choose_recipe,
    plan_options,
    with_remembered,
)
from facesearch.locations import Address, Location, as_location
from facesearch.photos import printable
from facesearch.planning import make_plan, settle_gone
from facesearch.recipes import Recipe
from facesearch.scoping import choose_scopes
from facesearch.sources import root_state
from facesearch.store import Store, StoreWriter
from facesearch.store.encrypting import is_encrypted
from facesearch.store.passphrases import key_written, new_key
from facesearch.store.sealing import Key


@dataclass(frozen=True, slots=True)
class Target:
    """A store, held for writing. ``options`` are those asked for with what the store remembers;
    ``anew``: it is built beside the old one.
    """

    writer: GalleryWriter
    options: IndexOptions
    anew: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """What a run means to do with the store as it is; ``held`` is None where there is none."""

    held: Store | None
    options: IndexOptions
    recipe: Recipe
    anew: bool


def intent_of(paths: Sequence[Location], store: Path, options: IndexOptions) -> Intent:
    """What a run with these options does with the store.

    Raises:
        UsageError: a named path is not there, or there is nothing to index.
        RecipeMismatchError: options differ from those the store was made with.
        StoreError: the store cannot be read.
        FacesearchError: built anew, it would lack photos that are not there now.
    """
    held = _held(store, options)
    options = with_remembered(held, options)
    _ask_once(held, paths, options)
    recipe = choose_recipe(held, options)
    anew = options.rebuild or (held is not None and recipe != held.recipe)
    if options.offline:
        _refuse_network(_looked_at(held, paths))
    # Before the lock is taken, for a mistyped name should leave nothing behind.
    choose_scopes(held, paths, store.parent, options.exclude)
    if held is not None and anew:
        _refuse_losses(held, paths, options)
    return Intent(held, options, recipe, anew)


def take_for_writing(paths: Sequence[Location], store: StoreName, options: IndexOptions) -> Target:
    """Takes the store's lock. What the store says counts as of then: another process may have
    written it since it was first read.

    Raises:
        StoreBusyError: another process writes.
        UsageError, StoreError, RecipeMismatchError, FacesearchError: as ``intent_of``.
    """
    if isinstance(store, EngineAddress):
        return _take_engine(paths, store, options)
    if not options.encrypt:
        return _taken(paths, store, options, None)
    while True:
        key = _key_for(paths, store, options)
        target = _taken(paths, store, options, key)
        used = target.writer.store.key
        if used is not None:
            key_written(used)
            return target
        target.writer.close()  # another process has made it meanwhile, in plain


def _taken(
    paths: Sequence[Location], store: Path, options: IndexOptions, key: Key | None
) -> Target:
    while True:
        intent = intent_of(paths, store, options)
        try:
            writer = StoreWriter.open(
                store, intent.recipe, wait=options.wait, fresh=intent.anew, key=key
            )
        except RecipeMismatchError:
            if _head(intent.held) == _head(_held(store, options)):
                raise
            continue
        if _head(intent.held) == _head(_held(store, options)):
            return Target(writer, intent.options, intent.anew)
        writer.close()


def _key_for(paths: Sequence[Location], store: Path, options: IndexOptions) -> Key | None:
    """What a new store is to be encrypted with; a plain one that is there is encrypted first."""
    held = intent_of(paths, store, options).held
    if held is None:
        return new_key(store)
    if held.key is None:
        try:
            encrypt(store, options.wait)
        except UsageError:
            if not is_encrypted(store):
                raise
            # Another process was quicker.
    return None


def _take_engine(
    paths: Sequence[Location], address: EngineAddress, options: IndexOptions
) -> Target:
    """A gallery in a search engine, which is never built anew beside itself."""
    if options.rebuild or options.redetect:
        raise UsageError(
            f"{address}: --rebuild and --redetect make a new store; index into another collection, "
            "or into a file and facesearch push it"
        )
    if options.offline:
        _refuse_network(paths)
        if address.file is None:
            raise UsageError(f"--offline: {address} is a server; leave the option out")
    if options.encrypt:
        raise UsageError(f"{address}: --encrypt is for store files; leave it out")
    if address.file is not None and not address.file.exists():
        choose_scopes(None, paths, Path.cwd())  # a mistyped name should leave nothing behind
    writer = engine_of(address).open_writer(address, options.wait)
    try:
        held = writer.held
        options = with_remembered(held, options)
        _ask_once(held, paths, options)
        recipe = choose_recipe(held, replace(options, redetect=True))
        if options.offline:
            _refuse_network(_looked_at(held, paths))
        choose_scopes(held, paths, Path.cwd(), options.exclude)
        writer.begin(recipe)
    except BaseException:
        writer.close()
        raise
    return Target(writer, options, anew=False)


def all_paths(held: Store, paths: Sequence[Location]) -> list[Location]:
    """The store's roots, and what was named besides."""
    return [*(root.resolve(held.folder) for root in held.roots), *paths]


def _looked_at(held: Store | None, paths: Sequence[Location]) -> Sequence[Location]:
    """The places that a run goes to: those named, else all that the store knows."""
    return paths if paths or held is None else all_paths(held, ())


def _ask_once(held: Store | None, paths: Sequence[Location], options: IndexOptions) -> None:
    """Waits here for disks that do not answer, as long as this run should; nobody waits for them
    again.
    """
    known = (as_location(root.path) for root in held.roots) if held is not None else ()
    for place in dict.fromkeys((*paths, *known)):
        if isinstance(place, Path):
            root_state(place, options.item_timeout)


def _refuse_network(places: Sequence[Location]) -> None:
    for place in places:
        if isinstance(place, Address):
            raise UsageError(
                f"--offline: {printable(place)} lies on the network; name folders of this machine, "
                "or leave the option out"
            )


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


def _refuse_losses(held: Store, paths: Sequence[Location], options: IndexOptions) -> None:
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
