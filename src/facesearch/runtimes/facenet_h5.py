"""FaceNet's weights out of Keras' h5 files, as plain arrays by layer name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import WeightsError


def facenet_layers(path: Path) -> dict[str, list[NDArray[np.float32]]]:
    """Read every layer's arrays, in the order that Keras wrote them.

    A saved model keeps its layers in the group ``model_weights``, a plain weights file at the top;
    both name a layer's arrays in the attribute ``weight_names``. Nothing is unpickled or run.

    Raises:
        WeightsError: the file cannot be read, or holds no Keras weights.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            names = [_text(name) for name in _listed(group, "layer_names")] or list(group)
            layers = {name: _arrays(group[name]) for name in names}
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: not readable as Keras weights ({' '.join(str(error).split())[:150]}); "
            "pull it again with: facesearch models pull"
        ) from error
    if not any(layers.values()):
        raise WeightsError(f"{path}: holds no layer with weights; pull it again with: "
                           "facesearch models pull")  # fmt: skip
    return layers


def _arrays(group: Any) -> list[NDArray[np.float32]]:
    names = [_text(name) for name in _listed(group, "weight_names")]
    return [np.asarray(group[name][()], np.float32) for name in names]


def _listed(group: Any, attribute: str) -> list[Any]:
    """An attribute that Keras splits into numbered parts when it is long."""
    if attribute in group.attrs:
        return list(group.attrs[attribute])
    parts: list[Any] = []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(group.attrs[f"{attribute}{len(parts)}"])
    return [name for part in parts for name in part]


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
