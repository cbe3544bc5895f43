"""Where faces are in a photo, and how they are cut out; or the photo as one item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facesearch.errors import UsageError
from facesearch.recipes import DetectorOptions
from facesearch.records import Box, Face, Pixels
from facesearch.runtimes import RuntimeOptions

_TRAINED_ON = 20.0  # pixels


class Detector(Protocol):
    """Finds the faces of one photo, whatever other photos it has seen."""

    def detect(self, pixels: Pixels, min_face: float) -> list[Face]:
        """Find faces in ``pixels``, (h, w, 3) uint8 RGB.

        Args:
            pixels: an upright photo of any size.
            min_face: smallest face to find, in pixels of ``pixels``; above 0.

        Returns:
            Faces in reading order, in pixels of ``pixels``; an empty list where there are none.

        Raises:
            UsageError: ``min_face`` is not above 0.
            ModelError: a network failed.
        """
        ...

    def landmarks(self, pixels: Pixels, box: Box) -> tuple[tuple[float, float], ...]:
        """Find the five landmarks of a face that a person drew a box around.

        Args:
            pixels: (h, w, 3) uint8 RGB.
            box: in pixels of ``pixels``.

        Returns:
            Landmarks as in ``Face``, or nothing where the box does not look like a face.

        Raises:
            ModelError: a network failed.
        """
        ...


def load_detector(options: DetectorOptions, runtime: RuntimeOptions) -> Detector:
    """Build the detector that ``options`` names and load its weights.

    Raises:
        UsageError: no detector has that name.
        WeightsError, DeviceError, ModelError: as ``runtimes.load_network``.
    """
    return _known(options).load(options, runtime)


def smallest_findable(
    options: DetectorOptions, shorter: ArrayLike, scale: ArrayLike
) -> NDArray[np.float64]:
    """Side of the smallest face that can be found, in original pixels, for many photos at once.

    A photo decoded at ``scale`` is searched down to 20 of its own pixels, the smallest face MTCNN's
    networks were trained on, or to what was asked for if that is less: enlarging it again would
    only show blur.

    Args:
        options: the smallest face asked for.
        shorter: (n,) shorter sides of the originals.
        scale: (n,) decoded size over original size.
    """
    asked = np.maximum(options.min_face, options.min_face_share * np.asarray(shorter, np.float64))
    return np.maximum(asked, np.minimum(asked, _TRAINED_ON) / np.asarray(scale, np.float64))


def networks_of(options: DetectorOptions) -> tuple[str, ...]:
    """The networks, by their names in the weights manifest, that the detector runs.

    Raises:
        UsageError: no detector has that name.
    """
    return _known(options).networks


def _known(options: DetectorOptions) -> KnownDetector:
    if options.name not in DETECTORS:
        known = ", ".join(DETECTORS)
        raise UsageError(f"there is no detector {options.name!r}; choose one of {known}")
    return DETECTORS[options.name]


def _mtcnn(options: DetectorOptions, runtime: RuntimeOptions) -> Detector:
    from facesearch.faces.mtcnn import load_mtcnn

    return load_mtcnn(options, runtime)


def _none(options: DetectorOptions, runtime: RuntimeOptions) -> Detector:
    from facesearch.faces.whole_photo import WholePhoto

    del options, runtime
    return WholePhoto()


@dataclass(frozen=True, slots=True)
class KnownDetector:
    """How a detector is loaded, and the networks it runs."""

    load: Callable[[DetectorOptions, RuntimeOptions], Detector]
    networks: tuple[str, ...] = ()


DETECTORS = {
    "mtcnn": KnownDetector(_mtcnn, ("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet")),
    "none": KnownDetector(_none),
}
"""Name -> detector; a further one is one line here."""
