"""A library whose networks are fake and, unless a test wants processes, run in the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from photo_library import Library


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "home")


@pytest.fixture
def busy_library(tmp_path: Path) -> Library:
    """The same with real worker processes."""
    return Library(tmp_path / "home", processes=True)
