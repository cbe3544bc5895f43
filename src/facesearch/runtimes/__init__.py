"""How a network runs: from a frozen, picklable ``NetworkSpec`` to a callable ``Network``.

Scaling and standardisation of pixels belong to the network, so nothing above knows which runtime
it is. A network is made in the process that uses it; only its spec travels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import UsageError

DEVICES = ("auto", "cpu", "gpu")


class Network(Protocol):
    """A network ready to run."""

    def __call__(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run it on ``batch``: (n, h, w, 3) float32 RGB, 0..255, n >= 1.

        Returns:
            Named arrays, each with n first. The names are those of the network, in every runtime:
            "mtcnn-pnet" gives "face" (n, rows, columns) in 0..1 and "box" (n, rows, columns, 4);
            "mtcnn-rnet" "face" (n,) and "box" (n, 4); "mtcnn-onet" besides those "landmarks"
            (n, 10); all others give "embedding" (n, dim).

        Raises:
            ModelError: the network failed, for whatever reason (out of memory too).
        """
        ...


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """What runs the networks.

    ``device`` is one of ``DEVICES``; ``threads`` are those of one process, for one operation.
    """

    runtime: str = "tensorflow"
    device: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what no runtime understands.

        Raises:
            UsageError: unknown runtime or device, or no threads.
        """
        if self.runtime not in RUNTIMES:
            known = ", ".join(RUNTIMES)
            raise UsageError(f"there is no runtime {self.runtime!r}; choose one of {known}")
        if self.device not in DEVICES:
            known = ", ".join(DEVICES)
            raise UsageError(f"there is no device {self.device!r}; choose one of {known}")
        if self.threads < 1:
            raise UsageError(f"a network needs at least one thread, not {self.threads}")


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Which network, and what runs it. ``name`` is a name of the weights manifest.

    ``standardise`` is how a face network brings pixels to one scale: "face" ((x - mean) / standard
    deviation of each face) or "fixed" ((x - 127.5) / 127.5). The other networks know one way only.
    ``sha256`` (hex) are the weights that are meant, where they may change under their name; ""
    takes what is there.
    """

    name: str
    runtime: str = "tensorflow"
    device: str = "auto"
    threads: int = 1
    standardise: str = "face"
    sha256: str = ""

    @property
    def options(self) -> RuntimeOptions:
        """The part that says what runs it."""
        return RuntimeOptions(self.runtime, self.device, self.threads)


def load_network(spec: NetworkSpec) -> Network:
    """Build the network and load its weights.

    Raises:
        UsageError: unknown runtime, device or network.
        WeightsError: the weights are missing, or do not fit the network.
        DeviceError: ``device`` is "gpu" and there is none.
        ModelError: the runtime cannot be loaded or the network not be built.
    """
    load, _ = RUNTIMES[spec.options.runtime]
    return load(spec)


def device_name(options: RuntimeOptions) -> str:
    """What the networks run on: "CPU", or the GPU's own name.

    Raises:
        DeviceError: ``device`` is "gpu" and there is none.
        ModelError: the runtime cannot be loaded.
    """
    _, name = RUNTIMES[options.runtime]
    return name(options)


def _tensorflow_load(spec: NetworkSpec) -> Network:
    from facesearch.runtimes.tensorflow import load

    return load(spec)


def _tensorflow_device(options: RuntimeOptions) -> str:
    from facesearch.runtimes.tensorflow import device_of

    return device_of(options)


RUNTIMES: dict[str, tuple[Callable[[NetworkSpec], Network], Callable[[RuntimeOptions], str]]] = {
    "tensorflow": (_tensorflow_load, _tensorflow_device),
}
"""Name -> (loader of networks, namer of the device)."""
