"""TensorFlow brought up quietly, with limited threads; what its graphs look like."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from facesearch.errors import ModelError

log = logging.getLogger(__name__)

Graph = Callable[[Any], dict[str, Any]]
"""A tensor in, named tensors out."""
Shape = list[int | None]
_NOISE = ("absl::InitializeLog", "oneDNN custom operations", "cudart_stub", "cuda drivers",
          "cuInit", "CPU instructions", "cuda_", "rebuild TensorFlow")  # fmt: skip
"""Marks of the lines that TensorFlow writes at every start, whatever log level it is given."""

_TRACE = ("Graph execution error", "Detected at node", "File ", "[[", "<stack traces", "(most ")


def import_tensorflow(threads: int) -> Any:
    """TensorFlow, quiet and with limited threads, as far as the process still allows."""
    if "tensorflow" in sys.modules:
        import tensorflow as tf
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        try:
            with _without_start_noise():
                import tensorflow as tf

                tf.config.list_physical_devices("GPU")
        except Exception as error:
            raise ModelError(
                f"TensorFlow cannot be loaded ({reason_of(error)}); "
                "install it again with: pip install --force-reinstall tensorflow"
            ) from error
    _limit(tf, threads)
    return tf


def _limit(tf: Any, threads: int) -> None:
    settings = tf.config.threading
    if settings.get_intra_op_parallelism_threads() == threads:
        return
    try:
        settings.set_intra_op_parallelism_threads(threads)
        settings.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        # A host process that has used TensorFlow before us keeps its own limits.
        log.debug("TensorFlow is already initialised; its thread limits stay as they are")


@contextmanager
def _without_start_noise() -> Iterator[None]:
    """Hold back what C++ writes to standard error, then pass on all but the known noise.

    TensorFlow logs a few lines before it reads its log level, so no setting silences them.
    """
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed: nothing to hold back
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines():
                if not any(mark in line for mark in _NOISE):
                    sys.stderr.write(line + "\n")


def reason_of(error: Exception) -> str:
    """TensorFlow's message on one line, without the trace that it puts around it."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(_TRACE)]
    return f"{type(error).__name__} {' '.join(telling)[:300]}".strip()
