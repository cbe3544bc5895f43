"""Indexing by each runtime and precision that this installation has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.photos import spread
from benchmarks.processes import BenchmarkError
from benchmarks.results import Figure, Measured, Ratio, beyond_start, interleaved, ratios
from benchmarks.workbench import Workbench

_PHOTOS = 500
_VARIANTS = {
    "default": (),
    "onnx float32": ("--runtime", "onnx", "--precision", "float32"),
    "tensorflow": ("--runtime", "tensorflow"),
}


def measure_runtimes(bench: Workbench) -> Measured:
    """The same photos by every variant, without start-up."""
    if "--runtime" not in bench.help_of("index"):
        raise BenchmarkError("facesearch index has no --runtime to choose")
    photos = spread(bench.photos, _PHOTOS)
    whole, start = bench.folder_of(photos), bench.folder_of(photos[: bench.jobs])

    def cost(options: tuple[str, ...]) -> Callable[[], float]:
        return lambda: beyond_start(
            _seconds(bench, whole, options), _seconds(bench, start, options)
        )

    seconds = interleaved(
        {name: cost(options) for name, options in _VARIANTS.items()}, bench.options.repeats
    )
    read = len(photos) - bench.jobs
    return Measured(
        tuple(
            Figure("indexing without start-up", name, "photos/s",
                   tuple(read / took for took in samples), "more")
            for name, samples in seconds.items()
        ),
        (
            Ratio("default over TensorFlow, photos/s",
                  ratios(seconds["tensorflow"], seconds["default"]), at_least=3.0),
        ),
        {"photos": len(photos)},
    )  # fmt: skip


def _seconds(bench: Workbench, folder: Path, options: tuple[str, ...]) -> float:
    return bench.index(folder, bench.new("runtime.npz"), *options)[1].seconds
