"""Forgetting as tests do it: without being asked, and by how many faces a photo has."""

from __future__ import annotations

from typing import Any

import numpy as np

from facesearch.addresses import StoreName
from facesearch.forgetting import ForgetOptions, ForgetSummary, Targets, forget
from facesearch.store import Store


def forget_now(name: StoreName, *paths: object, **options: Any) -> ForgetSummary | None:
    """Forgets ``paths``, or ``face`` of one, or ``ids``; the rest are ``ForgetOptions``."""
    targets = Targets(
        tuple(map(str, paths)), options.pop("face", None), tuple(options.pop("ids", ()))
    )
    return forget(name, targets, ForgetOptions(**options), lambda summary: True)


def rows_with(store: Store, faces: int) -> list[int]:
    """The rows of the files whose photos have so many faces."""
    counts = np.asarray(store.contents.face_counts)[np.asarray(store.files.content)]
    found: list[int] = np.flatnonzero(counts == faces).tolist()
    return found
