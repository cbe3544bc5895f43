"""Weights of Keras models in h5 files, in the layout that Keras's own published files have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facesearch.errors import WeightsError


def write_weights(model: Any, path: Path, attributes: Mapping[str, Any] | None = None) -> None:
    """Write the weights of ``model``'s layers to ``path``, in the order of its layers.

    Keras itself still reads this layout (``load_weights`` of a file named ``*.h5``), but no longer
    writes it. ``attributes`` are added to the file's own.

    Raises:
        OSError: the file cannot be written.
    """
    import h5py

    layers = [layer for layer in model.layers if layer.weights]
    with h5py.File(path, "w") as file:
        _write_names(file, "layer_names", [layer.name for layer in layers])
        for layer in layers:
            group = file.create_group(layer.name)
            variables = [*layer.trainable_weights, *layer.non_trainable_weights]
            arrays = {
                f"{number}_{variable.name}:0": np.asarray(variable)
                for number, variable in enumerate(variables)
            }
            _write_names(group, "weight_names", list(arrays))
            for name, array in arrays.items():
                group[name] = array
        for key, value in (attributes or {}).items():
            file.attrs[key] = value


def read_weights(model: Any, path: Path, remedy: str) -> None:
    """Load the file's weights into ``model``, layer by layer in order, as Keras does.

    Names of layers do not count: InceptionResNetV2's are numbered anew in every process.

    Args:
        model: a Keras model, built.
        path: the file; its name ends in ".h5".
        remedy: the command that brings the right file.

    Raises:
        WeightsError: it is not readable, or holds the weights of another network.
    """
    try:
        model.load_weights(path)
    except Exception as error:  # whatever Keras or h5py raises, the file is not the right one
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(
            f"{path}: does not fit the network {model.name} ({reason}); run: {remedy}"
        ) from error


def _write_names(group: Any, attribute: str, names: list[str]) -> None:
    """Names as an attribute, in numbered parts where they are longer than HDF5 takes (64 kB)."""
    encoded = np.asarray([name.encode() for name in names])
    parts = np.array_split(encoded, 1 + encoded.nbytes // 32_000)
    if len(parts) == 1:
        group.attrs[attribute] = encoded
        return
    for number, part in enumerate(parts):
        group.attrs[f"{attribute}{number}"] = part
