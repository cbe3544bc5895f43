"""Stores of made-up photos to merge and split."""

import os

import pytest

from made_photos import Photos


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def photos() -> Photos:
    return Photos()
