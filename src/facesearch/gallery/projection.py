"""The PCA of a store: fitted once, kept beside it, and fitted again when photos change."""

from __future__ import annotations

import logging

from facesearch.errors import StoreError
from facesearch.search.pca import COMPONENTS, PcaFit, fit_pca
from facesearch.store import Store, face_keys, load_derived, save_derived

_log = logging.getLogger(__name__)


def pca_of(store: Store, components: int = COMPONENTS) -> PcaFit:
    """The PCA of all rows whose photos are there.

    It is fitted to the rows in an order that no compaction changes, so that the same photos give
    the same fit. Nothing is kept while another process writes the store.

    Args:
        store: a snapshot; its rows stay as they are.
        components: how many to keep; never more than rows - 1.

    Raises:
        StoreError: the rows are damaged.
    """
    name, keys = f"pca-{components}", face_keys(store)
    arrays = load_derived(store, name, keys.digest)
    if arrays is not None:
        try:
            return PcaFit.from_arrays(arrays)
        except StoreError as error:
            _log.info("%s: %s is fitted again (%s)", store.path, name, error)
    fit = fit_pca(store.embeddings(keys.ids), components)
    try:
        kept = save_derived(store.path, name, fit.arrays(), keys.digest)
        reason = "another process writes the store"
    except StoreError as error:
        kept, reason = False, str(error)
    if not kept:
        _log.info("%s: the PCA is not kept: %s", store.path, reason)
    return fit
