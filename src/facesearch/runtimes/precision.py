"""Which arithmetic is fastest without loss on the processor at hand."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

_OPENCV_VNNI = 23  # CV_CPU_AVX_512VNNI of OpenCV's list of processor features


@cache
def multiplies_bytes_exactly() -> bool:
    """Whether the processor has instructions that multiply 8-bit numbers and add them up in 32.

    Older x86 processors add pairs of products in 16 bits, which overflow; there, and wherever it
    was not measured, float32 is the choice.
    """
    if sys.platform == "linux":
        return not {"avx512_vnni", "avx_vnni"}.isdisjoint(_flags(Path("/proc/cpuinfo")))
    import cv2

    return bool(cv2.checkHardwareSupport(_OPENCV_VNNI))


def _flags(facts: Path) -> list[str]:
    """The processor's features by Linux's names; none where it does not tell."""
    try:
        lines = facts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return next((line.split() for line in lines if line.startswith("flags")), [])
