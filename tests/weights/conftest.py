from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_index import SAMPLES, WEIGHTS, Index, make_archive, manifest_text, serving

from facesearch.weights import manifest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, empty; pip is set to nothing at all."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FACESEARCH_HOME", str(folder))
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "CERT", "PROXY", "NO_INDEX"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture
def archive(
    tmp_path_factory: pytest.TempPathFactory, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A small archive laid out as the real one; the manifest states its facts."""
    data = make_archive(
        {
            "setup.py": b"raise SystemExit('an archive is never run')",
            f"{SAMPLES}/train/ann/one.jpg": b"first",
            f"{SAMPLES}/val/ann/two.jpg": b"second",
            f"{SAMPLES}/../../../../escaped.jpg": b"outside",
            "model/facenet_keras.h5": WEIGHTS,
        }
    )
    text = manifest_text(data)
    monkeypatch.setattr(manifest, "_manifest_text", lambda: text)
    path = tmp_path_factory.mktemp("given") / "whatever.bin"
    path.write_bytes(data)
    return path


@pytest.fixture
def index(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that serves the small archive; pip is set to it."""
    with serving(Index(archive.read_bytes())) as served:
        monkeypatch.setenv("PIP_INDEX_URL", served.url)
        yield served
