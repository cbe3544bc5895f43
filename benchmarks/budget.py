"""Where the milliseconds of a photo go, in one process with one thread.

    python -m benchmarks.budget --lfw FOLDER [--photos 400] [--runtime onnx|tensorflow]

The steps of the pipeline are wrapped by clocks, which take about 1 % themselves; a step's time
includes what it calls. Every photo goes through once before the clocks run.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from unittest import mock

from benchmarks.photos import all_photos, spread
from benchmarks.threads import in_batches
from facesearch.index_options import DEFAULT_MODEL, default_recipe
from facesearch.processing import ProcessSpec
from facesearch.runtimes import RuntimeOptions

STEPS = {
    "read and hash the file": "facesearch.processing.read_bytes",
    "decode": "facesearch.processing.decode_photo",
    "detect": "facesearch.faces.mtcnn.MtcnnDetector.detect",
    "- levels of the pyramid": "cv2.resize",
    "- suppression": "facesearch.faces.mtcnn.suppress",
    "- sorting by score": "facesearch.faces.mtcnn.best_first",
    "- patches": "facesearch.faces.mtcnn.patches",
    "crop": "facesearch.processing.crop_faces",
    "sharpness": "facesearch.processing.sharpness",
    "embed": "facesearch.extractors.rows.NetworkExtractor.embed",
}
NETWORKS = {
    "onnx": "facesearch.runtimes.onnx.OnnxNetwork.__call__",
    "tensorflow": "facesearch.runtimes.tensorflow.TensorFlowNetwork.__call__",
}


class Clocks:
    """Seconds, calls and items by step."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.items: Counter[str] = Counter()

    def around(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with a clock around it."""

        def timed(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            result = function(*args, **options)
            self.seconds[step] += time.perf_counter() - started
            return result

        return timed

    def around_network(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A network's call with a clock of the network's own name."""

        def timed(network: Any, batch: Any) -> Any:
            started = time.perf_counter()
            result = function(network, batch)
            self.seconds[f"- {network._name}"] += time.perf_counter() - started
            self.items[f"- {network._name}"] += len(batch)
            return result

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--lfw", type=Path, default=os.environ.get("FACESEARCH_LFW", "../shared/lfw")
    )
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--runtime", choices=list(NETWORKS), default="onnx")
    options = parser.parse_args()
    paths = [str(path) for path in spread(all_photos(options.lfw), options.photos)]
    runtime = RuntimeOptions(options.runtime, "cpu")
    pipeline = ProcessSpec(default_recipe(DEFAULT_MODEL), 10**8, runtime)()
    batches = list(in_batches(paths))
    for batch in batches:
        pipeline.process(batch)
    clocks = Clocks()
    network = NETWORKS[options.runtime]
    with ExitStack() as stack:
        for step, name in STEPS.items():
            stack.enter_context(mock.patch(name, clocks.around(step, resolve_name(name))))
        timed = clocks.around_network(resolve_name(network))
        stack.enter_context(mock.patch(network, timed))
        started = time.perf_counter()
        for batch in batches:
            pipeline.process(batch)
        whole = time.perf_counter() - started
    photos = sum(len(batch) for batch in batches)
    print(f"| step | ms a photo |\n| --- | --- |\n| all | {whole / photos * 1e3:.2f} |")
    for step in [*STEPS, *sorted(clocks.items)]:
        items = clocks.items[step]
        beside = f" ({items / photos:.1f} items)" if items else ""
        print(f"| {step}{beside} | {clocks.seconds[step] / photos * 1e3:.2f} |")


if __name__ == "__main__":
    main()
