"""No detection: the photo itself is the one item."""

from __future__ import annotations

from facesearch.records import Box, Face, Pixels


class WholePhoto:
    """Takes every photo as one item without a box. See ``facesearch.faces.Detector``."""

    def detect(self, pixels: Pixels, min_face: float) -> list[Face]:
        """One item, whatever the photo shows."""
        del pixels, min_face
        return [Face(None, (), 1.0)]

    def landmarks(self, pixels: Pixels, box: Box) -> tuple[tuple[float, float], ...]:
        """None: what is searched is no face."""
        del pixels, box
        return ()
