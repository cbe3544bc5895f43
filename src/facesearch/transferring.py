"""Whole galleries between a store file and a search engine, both ways."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from facesearch.addresses import EngineAddress
from facesearch.errors import StoreError
from facesearch.gallery.opening import engine_of
from facesearch.gallery.transfers import TransferOptions, TransferSummary, Watch
from facesearch.store import Store


def push(
    store: Path, address: EngineAddress, options: TransferOptions, watch: Watch = lambda *at: None
) -> TransferSummary:
    """Makes the engine's gallery what the store is; what is there already is not sent again.

    Args:
        store: the store's file.
        address: the gallery, made when missing.
        options: what happens to photos that the store has not.
        watch: told of progress.

    Raises:
        StoreError: the store cannot be read or its run has not ended, or the engine is away,
            refuses or is too slow; run it again, it goes on.
        RecipeMismatchError: the gallery's rows were made in another way.
        FacesearchError: too many photos would go.
    """
    started = time.monotonic()
    held = Store.open(store)
    if held.head.run is not None:
        raise StoreError(f"{store}: its index run has not ended; run facesearch index again first")
    held.verify_rows()
    done: TransferSummary = engine_of(address).open_push(held, address, options).go(watch)
    return replace(done, seconds=round(time.monotonic() - started, 3))


def pull(
    address: EngineAddress, store: Path, options: TransferOptions, watch: Watch = lambda *at: None
) -> TransferSummary:
    """Makes the store what the engine's gallery is; what is there already is not fetched again.

    The store has the same ``content_digest`` as one that was pushed.

    Raises:
        StoreError: there is no gallery, the engine is away, refuses or is too slow, or the store
            cannot be written; run it again, it goes on.
        RecipeMismatchError: the store's rows were made in another way.
        FacesearchError: too many photos would go.
    """
    started = time.monotonic()
    done: TransferSummary = engine_of(address).open_pull(address, store, options).go(watch)
    return replace(done, seconds=round(time.monotonic() - started, 3))
