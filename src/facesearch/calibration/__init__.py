"""What a distance means: how likely one person, and how many strangers lie as near.

A calibration belongs to a space (``Recipe.space_digest``): it was counted on the pairs of photos of
Labeled Faces in the Wild and is a small table beside this file. ``benchmarks/calibrate.py`` makes
it; the model's card says what it does not cover.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facesearch.errors import DatasetError, UsageError

SCHEMA = 1
LIKELY_PROBABILITY = 0.9
LIKELY_EXPECTED = 0.1
POSSIBLE_PROBABILITY = 0.5
POSSIBLE_EXPECTED = 1.0

Band = Literal["likely", "possible", "unlikely"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A table over distances between unit rows of one space.

    Attributes:
        space_digest: the space that it was counted in.
        distances: rising, from 0 on.
        probabilities: falling, 0..1, one for each distance: that two faces so far apart show one
            person, if same and different were equally likely beforehand. The gallery's size is no
            part of it; that enters by ``expected_false_matches``.
        false_match_rates: rising, above 0 and up to 1, one for each distance: the chance that the
            face of somebody else, drawn at random, lies as near or nearer.
        counted_from: below this distance the rate is a fitted tail; too few pairs to count.
        facts: how it was made and how wrong it was on other people.
    """

    space_digest: str
    distances: tuple[float, ...]
    probabilities: tuple[float, ...]
    false_match_rates: tuple[float, ...]
    counted_from: float
    facts: dict[str, Any] = field(default_factory=dict, hash=False)

    def probability(self, distance: ArrayLike) -> Floats:
        """P(one person | distance) at even odds; linear between the table's distances.

        Args:
            distance: any shape, 0 or more; beyond the table its ends hold.

        Returns:
            float64 of the same shape, 0..1.
        """
        return _between(distance, self.distances, self.probabilities)

    def false_match_rate(self, distance: ArrayLike) -> Floats:
        """The chance that a stranger's face lies within ``distance``.

        Its logarithm is linear between the table's distances.

        Args:
            distance: any shape, 0 or more; beyond the table its ends hold.

        Returns:
            float64 of the same shape, above 0 and up to 1.
        """
        return np.exp(_between(distance, self.distances, np.log(self.false_match_rates)))

    def expected_false_matches(self, distance: ArrayLike, faces: int) -> Floats:
        """How many of ``faces`` strangers' faces to expect within ``distance``, on average.

        It is a mean over people: somebody whose like the network has seen little of meets more.

        Returns:
            float64 of the shape of ``distance``, 0..``faces``.
        """
        return faces * self.false_match_rate(distance)

    def distance_at(self, fmr: float) -> float:
        """The distance within which a share ``fmr`` of strangers' faces lies.

        The inverse of ``false_match_rate``; 0.0 where the table knows no distance so rare.

        Raises:
            UsageError: ``fmr`` is no share above 0 and up to 1.
        """
        if not 0 < fmr <= 1:
            raise UsageError(
                f"a false match rate of {fmr:g} cannot be: it is above 0 and at most 1, e.g. 1e-4"
            )
        rates, first = np.unique(self.false_match_rates, return_index=True)
        distances = np.asarray(self.distances)[first]
        return float(np.interp(np.log(fmr), np.log(rates), distances, left=0.0))

    @staticmethod
    def band(probability: float, expected: float) -> Band:
        """A neighbour in a word, from its probability and the false matches to expect up to it."""
        if probability >= LIKELY_PROBABILITY and expected < LIKELY_EXPECTED:
            return "likely"
        if probability >= POSSIBLE_PROBABILITY and expected < POSSIBLE_EXPECTED:
            return "possible"
        return "unlikely"

    def as_json(self) -> str:
        """The text of its file, always the same for the same calibration."""
        data = {
            "schema": SCHEMA,
            "space_digest": self.space_digest,
            "counted_from": self.counted_from,
            "facts": self.facts,
            "distances": self.distances,
            "probabilities": self.probabilities,
            "false_match_rates": self.false_match_rates,
        }
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"


def read_calibration(text: str, name: str) -> Calibration:
    """Inverse of ``Calibration.as_json``; ``name`` is what messages call it.

    Raises:
        DatasetError: it is no calibration, or one of a newer version.
    """
    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']}, not {SCHEMA}")
        found = Calibration(
            space_digest=str(data["space_digest"]),
            distances=tuple(map(float, data["distances"])),
            probabilities=tuple(map(float, data["probabilities"])),
            false_match_rates=tuple(map(float, data["false_match_rates"])),
            counted_from=float(data["counted_from"]),
            facts=dict(data["facts"]),
        )
        _check(found)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{name}: no calibration ({error}); install facesearch again") from error
    return found


def find_calibration(space_digest: str) -> Calibration | None:
    """The calibration of a space, None where it has none.

    Raises:
        DatasetError: a calibration that came with facesearch is damaged.
    """
    for entry in sorted(Path(__file__).parent.glob("*.json")):
        found = read_calibration(entry.read_text(encoding="utf-8"), entry.name)
        if found.space_digest == space_digest:
            return found
    return None


def _between(distance: ArrayLike, distances: ArrayLike, values: ArrayLike) -> Floats:
    points = np.asarray(distance, np.float64)
    return np.asarray(np.interp(points, np.asarray(distances), np.asarray(values)), np.float64)


def _check(table: Calibration) -> None:
    distances = np.array(table.distances)
    probabilities, rates = np.array(table.probabilities), np.array(table.false_match_rates)
    if not len(distances) == len(probabilities) == len(rates) >= 2:
        raise ValueError("its columns differ in length")
    if distances[0] != 0 or not (np.diff(distances) > 0).all():
        raise ValueError("its distances do not rise from 0")
    if (
        not ((probabilities >= 0) & (probabilities <= 1)).all()
        or (np.diff(probabilities) > 0).any()
    ):
        raise ValueError("its probabilities do not fall between 1 and 0")
    if not ((rates > 0) & (rates <= 1)).all() or not (np.diff(rates) >= 0).all():
        raise ValueError("its rates do not rise between 0 and 1")
