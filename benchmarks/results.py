"""What was measured: every sample, and the medians that people read; kept as JSON."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchmarks.processes import BenchmarkError

FORMAT = 1
Better = Literal["more", "less", "neither"]
Sample = TypeVar("Sample")


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity of one side, e.g. photos a second of ``facesearch``."""

    name: str
    side: str
    unit: str
    samples: tuple[float, ...]
    better: Better = "less"

    def __post_init__(self) -> None:
        """Refuse what no median can be taken of.

        Raises:
            BenchmarkError: no samples, or one that is not a number.
        """
        require_samples(self.name, self.samples)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


@dataclass(frozen=True, slots=True)
class Ratio:
    """How one side compares with another in the same rounds of one run, and what is wanted."""

    name: str
    samples: tuple[float, ...]
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        """As ``Figure``."""
        require_samples(self.name, self.samples)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def reached(self) -> bool | None:
        """Whether the median is as wanted; None where nothing is."""
        if self.at_least is None and self.at_most is None:
            return None
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return low <= self.median <= high


@dataclass(frozen=True, slots=True)
class Measured:
    """What one measurement found. ``facts`` are plain numbers and words beside it."""

    figures: tuple[Figure, ...]
    ratios: tuple[Ratio, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def figure(self, name: str, side: str) -> Figure | None:
        for figure in self.figures:
            if (figure.name, figure.side) == (name, side):
                return figure
        return None


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmarks. ``failures`` maps measurements to why they could not be made."""

    made: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    options: Mapping[str, Any]
    measured: Mapping[str, Measured] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> str:
        """The medians are written beside the samples for whoever reads the file without us."""
        data = {"format": FORMAT, **asdict(self)}
        for name, measured in self.measured.items():
            written = data["measured"][name]
            for kind in ("figures", "ratios"):
                for plain, value in zip(written[kind], getattr(measured, kind), strict=True):
                    plain["median"] = value.median
        return json.dumps(data, indent=1, allow_nan=False) + "\n"


def read_run(path: Path) -> Run:
    """A run that was written before.

    Raises:
        BenchmarkError: the file cannot be read, or is no such run.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise BenchmarkError(f"{path}: of another version; measure again")
        data["measured"] = {name: _measured(plain) for name, plain in data["measured"].items()}
        return Run(**data)
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(f"{path}: not a result of python -m benchmarks ({error})") from error


def _measured(data: dict[str, Any]) -> Measured:
    return Measured(
        tuple(Figure(**_without_median(plain)) for plain in data["figures"]),
        tuple(Ratio(**_without_median(plain)) for plain in data["ratios"]),
        data["facts"],
    )


def _without_median(plain: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in plain.items() if name != "median"}
    return {**kept, "samples": tuple(kept["samples"])}


def require_samples(name: str, samples: Sequence[float]) -> None:
    """Raises BenchmarkError where there are none, or some are no numbers."""
    if not samples or not all(math.isfinite(sample) for sample in samples):
        raise BenchmarkError(f"{name}: no median of {list(samples)}")


def interleaved(
    sides: Mapping[str, Callable[[], Sample]], repeats: int
) -> dict[str, tuple[Sample, ...]]:
    """Each side's samples, taken in turn (A B A B), so that the machine's moods meet all alike."""
    found: dict[str, list[Sample]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, take in sides.items():
            found[name].append(take())
    return {name: tuple(samples) for name, samples in found.items()}


def beyond_start(whole: float, start: float) -> float:
    """Seconds that a run took besides starting.

    Raises:
        BenchmarkError: starting alone took as long; of so little nothing can be said.
    """
    if start >= whole:
        raise BenchmarkError(
            f"starting alone took {start:.1f} s, the whole run {whole:.1f} s; measure more photos"
        )
    return whole - start


def ratios(first: Sequence[float], second: Sequence[float]) -> tuple[float, ...]:
    """``first`` over ``second``, round by round."""
    return tuple(a / b for a, b in zip(first, second, strict=True))
