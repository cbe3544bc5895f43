"""How a network runs: from a frozen, picklable ``NetworkSpec`` to a callable ``Network``.

Scaling and standardisation of pixels belong to the network, so nothing above knows which runtime
it is. A network is made in the process that uses it; only its spec travels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from facesearch.errors import UsageError
from facesearch.runtimes.fetching import Fetch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "DEVICES",
    "PRECISIONS",
    "RUNTIMES",
    "Fetch",
    "Network",
    "NetworkSpec",
    "Runtime",
    "RuntimeOptions",
    "device_name",
    "load_network",
    "make_ready",
]

DEVICES = ("auto", "cpu", "gpu")
PRECISIONS = ("auto", "int8", "float32")
RUNTIMES = {
    "onnx": "facesearch.runtimes.onnx",
    "tensorflow": "facesearch.runtimes.tensorflow",
}
"""Name -> module, a ``Runtime``, in the order in which "auto" asks them for a network."""


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

    ``runtime`` is a name of ``RUNTIMES``, or "auto": ONNX Runtime where it has the network.
    ``device`` is one of ``DEVICES``; ``threads`` are those of one process, for one operation.
    ``precision`` is one of ``PRECISIONS``, of which "auto" is the fastest that loses nothing.
    """

    runtime: str = "auto"
    device: str = "auto"
    threads: int = 1
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what no runtime understands.

        Raises:
            UsageError: an unknown name, no threads, or arithmetic that the runtime does not have.
        """
        _require("runtime", self.runtime, ("auto", *RUNTIMES))
        _require("device", self.device, DEVICES)
        _require("precision", self.precision, PRECISIONS)
        if self.threads < 1:
            raise UsageError(f"a network needs at least one thread, not {self.threads}")
        if (self.runtime, self.precision) == ("tensorflow", "int8"):
            raise UsageError("TensorFlow runs in float32 here; leave out --precision int8")


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Which network, and what runs it. ``name`` is a name of the weights manifest.

    ``standardise`` is how a face network brings pixels to one scale: "face" ((x - mean) / standard
    deviation of each face) or "fixed" ((x - 127.5) / 127.5). The other networks know one way only.
    ``sha256`` (hex) are the weights that are meant, where they may change under their name; ""
    takes what is there.
    """

    name: str
    options: RuntimeOptions = field(default_factory=RuntimeOptions)
    standardise: str = "face"
    sha256: str = ""


class Runtime(Protocol):
    """A module that runs networks."""

    def knows(self, name: str, device: str) -> bool:
        """Whether it can run the network on such a device."""

    def make_ready(self, name: str, options: RuntimeOptions, fetch: Fetch) -> None:
        """See ``facesearch.runtimes.make_ready``."""

    def load(self, spec: NetworkSpec) -> Network:
        """See ``facesearch.runtimes.load_network``."""

    def device_of(self, options: RuntimeOptions, name: str) -> str:
        """See ``facesearch.runtimes.device_name``."""


def make_ready(names: Sequence[str], options: RuntimeOptions, fetch: Fetch) -> None:
    """Bring all that the networks need, so that workers find it: weights, graphs.

    Raises:
        UsageError: unknown network, or not in this precision.
        WeightsError: weights are missing and cannot be downloaded; names the command that helps.
        ModelError: the runtime cannot be loaded.
    """
    for name in names:
        _runtime_of(name, options).make_ready(name, options, fetch)


def load_network(spec: NetworkSpec) -> Network:
    """Build the network and load its weights.

    Raises:
        UsageError: unknown network, or one that the runtime does not have in this precision.
        WeightsError: the weights are missing, or do not fit the network.
        DeviceError: ``device`` is "gpu" and there is none.
        ModelError: the runtime cannot be loaded or the network not be built.
    """
    return _runtime_of(spec.name, spec.options).load(spec)


def device_name(options: RuntimeOptions, name: str) -> str:
    """What the network runs on, for people: the processor or GPU, the runtime, the precision.

    Raises:
        DeviceError: ``device`` is "gpu" and there is none.
        ModelError: the runtime cannot be loaded.
    """
    return _runtime_of(name, options).device_of(options, name)


def _runtime_of(name: str, options: RuntimeOptions) -> Runtime:
    """The runtime asked for, else the first that has the network."""
    if options.runtime != "auto":
        return _loaded(options.runtime)
    last = list(RUNTIMES)[-1]
    for runtime in RUNTIMES:
        if runtime == last or _loaded(runtime).knows(name, options.device):
            break
    return _loaded(runtime)


def _loaded(runtime: str) -> Runtime:
    return cast(Runtime, import_module(RUNTIMES[runtime]))


def _require(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise UsageError(f"there is no {what} {name!r}; choose one of {', '.join(known)}")
