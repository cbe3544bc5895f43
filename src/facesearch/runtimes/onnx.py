"""The networks on ONNX Runtime: the default, on processors and, where it can, on NVIDIA's GPUs."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import DeviceError, ModelError, UsageError
from facesearch.runtimes.fetching import Fetch
from facesearch.runtimes.graph_files import ensure_graph, read_graph
from facesearch.runtimes.graphs import DRAWINGS, FLOAT32, INT8, drawing_of
from facesearch.runtimes.precision import multiplies_bytes_exactly

if TYPE_CHECKING:
    from facesearch.runtimes import NetworkSpec, RuntimeOptions

log = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_NO_CUDA = (
    "ONNX Runtime cannot use the GPU: its CUDA or cuDNN libraries are missing or do not fit the "
    "driver; run: pip install 'onnxruntime-gpu[cuda,cudnn]', or use --device cpu"
)
_FATAL = 4  # what is wrong is raised; the runtime's own lines would only say it twice


class OnnxNetwork:
    """A graph with its weights; safe to call from several threads."""

    def __init__(self, name: str, session: Any) -> None:
        self._name = name
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]

    def __call__(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """See ``facesearch.runtimes.Network``."""
        try:
            pixels = np.ascontiguousarray(batch, np.float32)
            if not len(pixels):
                raise ModelError("there is nothing in it")
            outputs = self._session.run(self._outputs, {"pixels": pixels})
        except Exception as error:  # whatever the runtime raises is the model's failure
            raise ModelError(
                f"the network {self._name} failed on a batch of shape {np.shape(batch)}: "
                f"{_reason(error)}"
            ) from error
        return dict(zip(self._outputs, outputs, strict=True))


def knows(name: str, device: str) -> bool:
    """Whether it can run the network; on a GPU, only where its package for them is installed."""
    return name in DRAWINGS and (device != "gpu" or CUDA in providers())


def make_ready(name: str, options: RuntimeOptions, fetch: Fetch) -> None:
    """See ``facesearch.runtimes.make_ready``."""
    ensure_graph(name, _precision(name, options), fetch)


def load(spec: NetworkSpec) -> OnnxNetwork:
    """Read ``spec``'s graph. See ``facesearch.runtimes.load_network``."""
    options = spec.options
    drawing = drawing_of(spec.name)
    if drawing.standardise and spec.standardise != drawing.standardise:
        raise UsageError(
            f"{spec.name} standardises by {drawing.standardise!r} here, not by "
            f"{spec.standardise!r}; use --runtime tensorflow"
        )
    graph = read_graph(spec.name, _precision(spec.name, options))
    try:
        session = _session(graph, options)
    except DeviceError:
        raise
    except Exception as error:
        raise ModelError(f"the network {spec.name} cannot be built: {_reason(error)}") from error
    return OnnxNetwork(spec.name, session)


def device_of(options: RuntimeOptions, name: str) -> str:
    """See ``facesearch.runtimes.device_name``."""
    where = "CPU" if _device(options.device) == CPU else "GPU"
    return f"{where}, ONNX Runtime {_precision(name, options)}"


def _precision(name: str, options: RuntimeOptions) -> str:
    """The arithmetic asked for, else the fastest that loses nothing."""
    drawing = drawing_of(name)
    if drawing.exact:
        return FLOAT32
    if options.precision != "auto":
        return options.precision
    fast = _device(options.device) == CPU and multiplies_bytes_exactly()
    return INT8 if fast and INT8 in drawing.precisions else FLOAT32


def _device(wanted: str) -> str:
    """The provider for "auto", "cpu" or "gpu".

    Raises:
        DeviceError: there is no GPU that the runtime can use.
    """
    if wanted == "cpu":
        return CPU
    if CUDA in providers() and (wanted == "gpu" or gpu_works()):
        return CUDA
    if wanted == "gpu":
        raise DeviceError(f"ONNX Runtime finds no GPU here; {gpu_remedy()}")
    return CPU


def providers() -> list[str]:
    """What the installed package could run on, in its own names."""
    return list(import_runtime().get_available_providers())


@cache
def gpu_works() -> bool:
    """Whether the provider that is listed runs: the package for GPUs lists it on every machine."""
    from facesearch.runtimes.graphs.builder import GraphBuilder

    graph = GraphBuilder()
    same = graph.node("Identity", ["pixels"], "same")
    try:
        session = _opened(graph.build("smallest", 1, {same: [1, 1, 3]}), 1, CUDA)
    except Exception:  # drivers, libraries, a GPU that is in use: whatever it is, it does not run
        log.warning("the GPU cannot be used, so the processor is", exc_info=True)
        return False
    return bool(session.get_providers()[0] == CUDA)


def gpu_remedy() -> str:
    """What to do where the installed package knows no GPU."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("onnxruntime-gpu")
    except PackageNotFoundError:
        return (
            "use --device cpu, or on an NVIDIA machine: pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    # Both packages bring the same folder, so the one installed last is the one that runs.
    return (
        "the package without GPU support lies over the other; run: pip uninstall -y onnxruntime "
        "&& pip install --force-reinstall --no-deps onnxruntime-gpu"
    )


def _session(graph: bytes, options: RuntimeOptions) -> Any:
    provider = _device(options.device)
    try:
        session = _opened(graph, options.threads, provider)
    except Exception as error:
        if provider == CUDA:
            raise DeviceError(f"{_NO_CUDA} ({_reason(error)})") from error
        raise
    # Without its libraries the runtime falls back to the processor by itself.
    if options.device == "gpu" and session.get_providers()[0] != CUDA:
        raise DeviceError(_NO_CUDA)
    return session


def _opened(graph: bytes, threads: int, provider: str) -> Any:
    runtime = import_runtime()
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = _FATAL
    # Threads that wait in a loop take the core that the next photo is decoded on.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if provider == CPU:
        return runtime.InferenceSession(graph, settings, providers=[CPU])
    with contextlib.redirect_stdout(io.StringIO()):  # where it prints what it does not find
        runtime.preload_dlls()
    # Each level of a photo is a new shape, for which the default search would try every algorithm.
    wanted = [(CUDA, {"cudnn_conv_algo_search": "HEURISTIC"}), CPU]
    # An error on the GPU is an error: going on by the processor would only be slow, and unsaid.
    return runtime.InferenceSession(graph, settings, providers=wanted, enable_fallback=0)


def import_runtime() -> Any:
    """ONNX Runtime, which must not tell anybody that it runs.

    Raises:
        ModelError: it cannot be loaded.
    """
    # Microsoft's builds else keep an identifier in the home folder, for sending.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except Exception as error:
        raise ModelError(
            f"ONNX Runtime cannot be loaded ({_reason(error)}); "
            "install it again with: pip install --force-reinstall onnxruntime"
        ) from error
    return onnxruntime


def _reason(error: Exception) -> str:
    """The message on one line."""
    said = " ".join(str(error).split())[:300]
    return said if isinstance(error, ModelError) else f"{type(error).__name__} {said}"
