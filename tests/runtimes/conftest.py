"""Real faces as the default recipe cuts them, and graphs that are there."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.index_options import default_recipe
from facesearch.photos import read_photo
from facesearch.processing import Pipeline, ProcessSpec
from facesearch.runtimes import Fetch, Network, NetworkSpec, RuntimeOptions, load_network
from facesearch.runtimes.precision import multiplies_bytes_exactly

Crops = NDArray[np.uint8]
ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # where the benchmarks are
    sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def onnx_network() -> Callable[..., Network]:
    """Networks on ONNX Runtime, drawn where they are not there yet."""

    def load(name: str, precision: str = "float32") -> Network:
        from facesearch.runtimes import make_ready

        options = RuntimeOptions("onnx", "cpu", 2, precision)
        make_ready([name], options, Fetch(offline=True))
        standardise = "fixed" if name == "facenet-512" else "face"
        return load_network(NetworkSpec(name, options, standardise))

    return load


@pytest.fixture(scope="session")
def lfw_crops(lfw: Path) -> Callable[[int], Crops]:
    """So many faces of LFW, (n, 160, 160, 3), each of another photo."""

    def cut(count: int) -> Crops:
        options = RuntimeOptions("onnx", "cpu", 2, "float32")
        spec = ProcessSpec(default_recipe("facenet-128"), 10**8, options)
        spec.make_ready(Fetch(offline=True))
        photos = random.Random(9).sample(sorted(lfw.glob("*/*.jpg")), count + 5)
        crops = list(_crops(Pipeline(spec), spec, photos))
        assert len(crops) >= count
        return np.stack(crops[:count])

    return cut


@pytest.fixture(scope="session")
def crops(lfw_crops: Callable[[int], Crops]) -> Crops:
    return lfw_crops(60)


def _crops(pipeline: Pipeline, spec: ProcessSpec, photos: list[Path]) -> Iterator[Any]:
    for path in photos:
        photo = read_photo(path, spec.limits)
        faces = pipeline.detect(photo)[:1]
        if faces:
            yield pipeline.crops(photo, faces)[0, 0]


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes this machine's processor one with such features, as Linux tells them."""

    def pretend(features: str) -> None:
        facts = tmp_path / "cpuinfo"
        facts.write_text(f"processor\t: 0\nmodel name\t: any\nflags\t\t: fpu {features} sse2\n\n")
        monkeypatch.setattr("sys.platform", "linux")
        monkeypatch.setattr(
            "facesearch.runtimes.precision.Path",
            lambda path: {"/proc/cpuinfo": facts}[path],
        )
        multiplies_bytes_exactly.cache_clear()

    yield pretend
    multiplies_bytes_exactly.cache_clear()
