"""One store of the sample photos with real embeddings, and its gallery with networks loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

import facesearch
from facesearch.api import OpenGallery


@pytest.fixture(scope="session")
def sample_store(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 93 ``train`` photos."""
    store = tmp_path_factory.mktemp("samples") / "faces.npz"
    summary = facesearch.index(samples / "train", store, facesearch.IndexOptions(jobs=1))
    assert (summary.new, summary.failed) == (93, 0)
    return store


@pytest.fixture(scope="session")
def sample_gallery(sample_store: Path) -> OpenGallery:
    return facesearch.open(sample_store, offline=True)
