"""How sure each neighbour is, where the distances of its store are calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facesearch.errors import UsageError
from facesearch.recipes import Recipe
from facesearch.records import Neighbor

if TYPE_CHECKING:
    from facesearch.calibration import Calibration


class Sureness:
    """What the distances between the rows of one store mean, if that is known."""

    def __init__(self, recipe: Recipe, store: Path | str) -> None:
        self._recipe = recipe
        self._store = store

    def distance_at(self, fmr: float) -> float:
        """The distance up to which a share ``fmr`` of the faces of other people lie.

        Raises:
            UsageError: the distances are not calibrated, or ``fmr`` is no share or too small to say
                anything about.
        """
        if self._calibration is None:
            raise UsageError(
                f"{self._store}: the distances of {self._recipe.name} are not calibrated, so --fmr "
                "says nothing about them; use --max-distance"
            )
        distance = self._calibration.distance_at(fmr)
        if not distance > 0:
            least = min(self._calibration.false_match_rates)
            raise UsageError(
                f"--fmr {fmr:g}: nothing is known of distances so rare; the least is {least:.1e}"
            )
        return distance

    def told(self, neighbors: Sequence[Neighbor], compared: int) -> tuple[Neighbor, ...]:
        """The neighbours with probability, expected false matches and band; as they are where
        distances are not calibrated.

        Args:
            neighbors: of one query.
            compared: the faces searched, times the examples that the query is made of: each of
                those may lie near a stranger.
        """
        known = self._calibration
        if known is None or not neighbors:
            return tuple(neighbors)
        distances = np.array([neighbor.distance for neighbor in neighbors])
        probabilities = known.probability(distances).tolist()
        expected = known.expected_false_matches(distances, compared).tolist()
        return tuple(
            replace(
                neighbor,
                probability=probability,
                expected_false_matches=strangers,
                band=known.band(probability, strangers),
            )
            for neighbor, probability, strangers in zip(
                neighbors, probabilities, expected, strict=True
            )
        )

    @cached_property
    def _calibration(self) -> Calibration | None:
        from facesearch.calibration import find_calibration

        return find_calibration(self._recipe.space_digest)
