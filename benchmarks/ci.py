"""A few cheap ratios for continuous integration; never seconds, for its machines differ and are
shared.

Both sides of a ratio are run in turn. A ratio fails only where the best sample of one side against
the worst of the other is still beyond its limit, and a repeat of the whole measurement, the
control, says so again: no noise explains that. Limits are far from what is measured
(``docs/performance.md``), so that they catch what went wrong altogether.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.photos import spread
from benchmarks.results import interleaved
from benchmarks.workbench import Workbench

PHOTOS = 24
ROUNDS = 3

Take = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Check:
    """Seconds of ``first`` over seconds of ``second``, and how much that may be."""

    name: str
    first: Take
    second: Take
    at_most: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured of a check, ``runs`` times."""

    name: str
    ratio: float
    most_favourable: float
    at_most: float
    runs: int = 1

    @property
    def failed(self) -> bool:
        return self.most_favourable > self.at_most

    def line(self) -> str:
        state = "FAILED" if self.failed else "ok"
        control = ", also in the control run" if self.failed else (
            ", in the control run" if self.runs > 1 else ""
        )  # fmt: skip
        return (
            f"{state:6} {self.name}: {self.ratio:.2f} (at best {self.most_favourable:.2f}), "
            f"allowed {self.at_most:g}{control}"
        )


def judge(check: Check, rounds: int = ROUNDS) -> Verdict:
    """Measures, and a second time where the first is beyond the limit."""
    verdict = _measured(check, rounds)
    if not verdict.failed:
        return verdict
    control = _measured(check, rounds)
    return Verdict(control.name, control.ratio, control.most_favourable, control.at_most, runs=2)


def judge_all(checks: Iterable[Check], say: Callable[[str], None]) -> bool:
    """Whether none failed; says a line for each."""
    good = True
    for check in checks:
        verdict = judge(check)
        say(verdict.line())
        good = good and not verdict.failed
    return good


def _measured(check: Check, rounds: int) -> Verdict:
    found: Mapping[str, Sequence[float]] = interleaved(
        {"first": check.first, "second": check.second}, rounds
    )
    first, second = found["first"], found["second"]
    return Verdict(
        check.name,
        statistics.median(first) / statistics.median(second),
        min(first) / max(second),
        check.at_most,
    )


def checks(bench: Workbench) -> list[Check]:
    """Those that this installation can make."""
    photos = spread(bench.photos, PHOTOS)
    folder = bench.folder_of(photos)
    store = bench.new("ci.npz")
    bench.index(folder, store)
    query = ("query", str(photos[0]), "--store", str(store), "--format", "paths")

    def index_anew(*options: str) -> Take:
        return lambda: bench.index(folder, bench.new("new.npz"), *options)[1].seconds

    def ask(*options: str) -> Take:
        return lambda: bench.facesearch(*query, *options).seconds

    listed = bench.new("queries.txt")
    listed.write_text("\n".join(map(str, photos)), encoding="utf-8")

    def warm() -> float:
        return float(bench.side("warm", str(listed), "--store", str(store))["median_ms"]) / 1000

    def imported() -> float:
        return bench.python("-c", "import sklearn.neighbors").seconds

    asked = [
        Check("a query against the same query (the machine's own noise)", ask(), ask(), 2.0),
        Check("a second index over nothing new, against the first",
              lambda: bench.index(folder, store)[1].seconds, index_anew(), 1.0),
        Check("a warm query against a cold one", warm, ask(), 0.7),
        Check("a cold query against the import of sklearn.neighbors", ask(), imported, 4.0),
    ]  # fmt: skip
    if "--runtime" in bench.help_of("index"):
        asked.append(
            Check(f"index of {len(photos)} photos, ONNX Runtime against TensorFlow",
                  index_anew("--runtime", "onnx"), index_anew("--runtime", "tensorflow"), 1.0)
        )  # fmt: skip
    else:  # TensorFlow takes seconds to load
        asked[3] = Check(asked[3].name, asked[3].first, asked[3].second, 30.0)
    if "--backend" in bench.help_of("query"):
        asked.append(
            Check("a cold query by brute force against scikit-learn's",
                  ask("--backend", "brute"), ask(), 1.2)
        )  # fmt: skip
    return asked


def photos_at_hand(lfw: Path, unpacked: Path) -> list[Path]:
    """Those of LFW; without it the sample photos that ``facesearch datasets pull`` brought."""
    from benchmarks.photos import all_photos

    found = all_photos(lfw)
    if found:
        return found
    from facesearch.datasets import unpack_samples
    from facesearch.weights import samples_path

    return sorted(unpack_samples(samples_path(), unpacked).glob("train/*/*.jpg"))
