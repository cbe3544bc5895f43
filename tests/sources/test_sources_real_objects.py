"""The real networks over photos in a bucket: the program, in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from facesearch.store import Store
from object_storage import Bucket

pytestmark = [pytest.mark.weights, pytest.mark.lfw]


@pytest.fixture
def photos(lfw: Path, tmp_path: Path) -> Path:
    """Twelve photos, a copy of one, and two files that are none."""
    found = sorted(lfw.glob("*/*.jpg"))
    folder = tmp_path / "photos"
    for photo in found[:: len(found) // 12][:12]:
        place = folder / photo.parent.name / photo.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(photo.read_bytes())
    (folder / "copy").write_bytes(photo.read_bytes())
    (folder / "broken.jpg").write_bytes(photo.read_bytes()[:3000])
    (folder / "notes.txt").write_text("no photo")
    return folder


def run(store: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "facesearch", *arguments, "--store", str(store)]
    return subprocess.run(command, capture_output=True, timeout=200, check=False, cwd=store.parent)


def test_a_folder_and_a_bucket_give_the_same_store(
    weights: Path, photos: Path, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.upload(photos, "photos/")
    stores = {tmp_path / "local.npz": str(photos), tmp_path / "remote.npz": bucket / "photos"}
    summaries = []
    for store, place in stores.items():
        done = run(store, "index", place, "--json", "--jobs", "2")
        assert done.returncode == 0, done.stderr
        summaries.append(json.loads(done.stdout))
    local, remote = summaries
    for key in ("seen", "new", "copies", "faces", "without_face", "failed_by_reason", "not_read"):
        assert remote[key] == local[key]
    assert remote["failures"][0]["path"] == bucket / "photos/broken.jpg"
    first, second = (Store.open(store) for store in stores)
    assert first.content_digest() == second.content_digest()
    keys = bucket.server.gets()
    assert len(keys) == 14 + 1, "each photo once, and the start of the one whose name tells nothing"

    photo = next(key for key in sorted(keys) if "/" in key.removeprefix("photos/"))
    done = run(
        tmp_path / "remote.npz",
        *("query", bucket / photo, "-k", "3", "--json", "--contact-sheet", "sheet.png"),
    )
    assert done.returncode == 0, done.stderr
    nearest = json.loads(done.stdout)["results"][0]["neighbors"][0]
    assert nearest["path"] == bucket / photo
    assert nearest["distance"] < 1e-3
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("s3:")]
