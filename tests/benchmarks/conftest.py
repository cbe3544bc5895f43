"""The benchmarks are no part of the package; tests find them in the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture
def faces_folder(tmp_path: Path) -> Path:
    """Photos of LFW's size and layout: two people with six, one with four, eight with one each."""
    folder = tmp_path / "lfw"
    rng = np.random.default_rng(0)
    counts = {"Ann_Six": 6, "Bob_Six": 6, "Cy_Four": 4, **{f"Once_{n}": 1 for n in range(8)}}
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (10, 10, 3), np.uint8)
            photo = Image.fromarray(pixels).resize((250, 250))
            photo.save(folder / name / f"{name}_{number + 1:04}.jpg")
    return folder
