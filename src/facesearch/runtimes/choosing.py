"""What "auto" takes on this machine, and why."""

from __future__ import annotations

from pathlib import Path

from facesearch.runtimes import RuntimeOptions, device_name

_BYTES = "8-bit arithmetic is exact and fastest on this processor"
_NO_BYTES = "this processor has no exact 8-bit arithmetic"


def reason_for(options: RuntimeOptions, name: str) -> tuple[str, str]:
    """What the network would run on, as ``device_name`` says it, and why.

    Raises:
        DeviceError: the GPU that is asked for is not there.
        ModelError: the runtime cannot be loaded.
    """
    from facesearch.runtimes.precision import multiplies_bytes_exactly

    taken = device_name(options, name)
    if taken.startswith("GPU"):
        return taken, "the GPU can be used"
    return taken, _BYTES if multiplies_bytes_exactly() else _NO_BYTES


def gpu_trouble() -> tuple[str, str] | None:
    """What keeps the networks from a GPU that is here, and what to do; None where nothing does, or
    there is no NVIDIA GPU.

    Raises:
        ModelError: the runtime cannot be loaded.
    """
    from facesearch.runtimes import onnx

    if onnx.CUDA in onnx.providers():
        if onnx.gpu_works():
            return None
        text = "ONNX Runtime's package for GPUs is here, and the GPU cannot be used"
        return text, "pip install 'onnxruntime-gpu[cuda,cudnn]', and a driver that fits"
    if not Path("/dev/nvidiactl").exists() and not Path("/proc/driver/nvidia").exists():
        return None
    return "an NVIDIA GPU is here, and ONNX Runtime does not know it", onnx.gpu_remedy()
