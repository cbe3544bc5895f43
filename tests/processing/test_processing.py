"""One photo's way from file to embeddings, with a detector and an extractor of a few lines."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesearch.errors import ModelError, PhotoError
from facesearch.faces.crop import crop_faces
from facesearch.photos import read_photo
from facesearch.processing import PhotoTask, Pipeline, ProcessSpec, scaled
from facesearch.recipes import CropOptions, ExtractorOptions, Recipe
from facesearch.records import TRANSIENT_REASONS, Box, Embeddings, Face, Pixels
from facesearch.runtimes import RuntimeOptions
from odd_photos import encoded, lopsided_picture, write_odd_photos

DIM = 4


class Halves:
    """Finds a face in the left and one in the right half; none in dark photos; fails on red ones,
    and finds one outside of those that are cyan.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], float]] = []

    def detect(self, pixels: Pixels, min_face: float) -> list[Face]:
        self.asked.append((pixels.shape, min_face))
        height, width = pixels.shape[:2]
        if pixels.max() < 50:
            return []
        if width < 4:
            return [Face(Box(0.0, 0.0, 1.0, 1.0), (), 0.9)]
        if pixels[..., 1].min() > 250 and pixels[..., 2].min() > 250 and pixels[..., 0].max() < 5:
            return [Face(Box(5.0, 999.0, 9.0, 9.0), (), 0.9)]
        if pixels[..., 0].min() > 250 and pixels[..., 1].max() < 5:
            raise ModelError("the detector stumbled over it")
        side = min(width // 2, height) * 0.8
        return [
            Face(Box(x, 2.0, side, side), ((x + 1, 3.0), (x + 2, 4.0)), 0.9)
            for x in (1.0, width / 2)
        ]


class Means:
    """Embeds a crop as its mean colour; fails on blue ones."""

    input_size = 16
    dim = DIM
    subject = "face"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, batch: Pixels) -> Embeddings:
        self.batches.append(len(batch))
        if (batch[..., 2].min(axis=(1, 2)) > 250).any() and batch[..., 0].max() >= 0:
            blue = (batch[..., 0].max(axis=(1, 2)) < 5) & (batch[..., 2].min(axis=(1, 2)) > 250)
            if blue.any():
                raise ModelError("an embedding without a direction")
        rows = np.ones((len(batch), DIM), np.float32)
        rows[:, :3] = batch.reshape(len(batch), -1, 3).mean(axis=1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pipeline]:
    monkeypatch.setattr("facesearch.processing.load_detector", lambda *_: Halves())
    monkeypatch.setattr("facesearch.processing.load_extractor", lambda *_: Means())

    def pipeline(
        max_side: int | None = 2048, max_pixels: int = 10**8, further: tuple[CropOptions, ...] = ()
    ) -> Pipeline:
        options = ExtractorOptions(dim=DIM)
        recipe = Recipe(extractor=options, max_side=max_side, further_crops=further)
        return ProcessSpec(recipe, max_pixels, RuntimeOptions())()

    return pipeline


@pytest.fixture
def pipeline(make: Callable[..., Pipeline]) -> Pipeline:
    return make()


def save(path: Path, color: str | None = None, size: tuple[int, int] = (96, 72)) -> PhotoTask:
    picture = lopsided_picture(size) if color is None else Image.new("RGB", size, color)
    path.write_bytes(encoded(picture, "PNG"))
    return PhotoTask(0, str(path))


def test_a_spec_travels_to_the_process_that_uses_it() -> None:
    spec = ProcessSpec(Recipe(), 10**6, RuntimeOptions())
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.limits.max_pixels == 10**6


def test_a_photo_with_faces(pipeline: Pipeline, tmp_path: Path) -> None:
    task = save(tmp_path / "a.png")
    (result,) = pipeline.process([task])
    data = Path(task.path).read_bytes()
    assert result.content_hash == hashlib.sha256(data).digest()
    assert result.facts is not None
    assert result.facts.content_hash == result.content_hash
    assert (result.facts.width, result.facts.height) == (96, 72)
    assert result.failure is None
    assert [face.box.x for face in result.faces] == [1.0, 48.0]
    assert all(face.sharpness > 0 for face in result.faces)
    assert result.embeddings.shape == (2, DIM)
    assert result.embeddings.dtype == np.float32
    assert np.allclose(np.linalg.norm(result.embeddings, axis=1), 1)


def test_a_photo_without_faces(pipeline: Pipeline, tmp_path: Path) -> None:
    (result,) = pipeline.process([save(tmp_path / "dark.png", "black")])
    assert result.facts is not None
    assert (result.faces, result.embeddings.shape, result.failure) == ((), (0, DIM), None)


def test_each_photo_of_a_batch_has_its_own_rows(pipeline: Pipeline, tmp_path: Path) -> None:
    colors = ["white", "black", "green", "gray", "black", "yellow"]
    tasks = [save(tmp_path / f"{n}.png", color) for n, color in enumerate(colors)]
    together = pipeline.process(tasks)
    assert pipeline._extractor.batches == [8]
    for task, result in zip(tasks, together, strict=True):
        (alone,) = pipeline.process([task])
        assert result.content_hash == alone.content_hash
        assert result.faces == alone.faces
        assert np.array_equal(result.embeddings, alone.embeddings)


def test_a_face_of_several_crops_is_their_mean(
    make: Callable[..., Pipeline], tmp_path: Path
) -> None:
    further = CropOptions("margin", 0.5)
    task = save(tmp_path / "a.png")
    (first,) = make().process([task])
    both = make(further=(further,))
    (mean,) = both.process([task])
    assert both._extractor.batches == [4]
    photo = read_photo(task.path, both.limits)
    wide = Means().embed(crop_faces(photo.pixels, mean.faces, further, 16))
    expected = first.embeddings + wide
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(mean.embeddings, expected, atol=1e-6)
    assert not np.allclose(mean.embeddings, first.embeddings, atol=1e-4)
    assert np.allclose(both.embed(photo, mean.faces), mean.embeddings, atol=1e-6)
    assert mean.faces == first.faces


def test_boxes_are_in_pixels_of_the_original(make: Callable[..., Pipeline], tmp_path: Path) -> None:
    pipeline = make(max_side=48)
    (result,) = pipeline.process([save(tmp_path / "a.png", "green", (96, 72))])
    assert result.facts is not None
    assert result.facts.scale == 0.5
    assert (result.facts.width, result.facts.height) == (96, 72)
    left, right = result.faces
    assert (left.box.x, left.box.y, right.box.x) == (2.0, 4.0, 48.0)
    assert left.box.width == pytest.approx(24 * 0.8 * 2)
    assert left.landmarks == ((4.0, 6.0), (6.0, 8.0))
    ((shape, smallest),) = pipeline._detector.asked
    assert shape == (36, 48, 3)
    assert smallest == 20  # of the decoded pixels, what the networks can see


def test_scaling_by_one_changes_nothing() -> None:
    face = Face(Box(1, 2, 3, 4), ((5, 6),), 0.5, 7.0)
    assert scaled(face, 1) is face
    assert scaled(face, 2) == Face(Box(2, 4, 6, 8), ((10, 12),), 0.5, 7.0)


def test_every_broken_photo_of_a_batch_is_its_own_failure(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    outcomes = write_odd_photos(tmp_path)
    outcomes["missing.jpg"] = "vanished"
    names = [name for name in outcomes if outcomes[name] != "not-read"]
    results = pipeline.process([PhotoTask(n, str(tmp_path / name)) for n, name in enumerate(names)])
    for name, result in zip(names, results, strict=True):
        if outcomes[name] == "ok":
            assert result.failure is None, name
            assert len(result.embeddings) == len(result.faces)
            continue
        assert result.failure is not None, name
        assert result.failure.reason == outcomes[name]
        assert result.failure.path == str(tmp_path / name)
        assert result.facts is None
        # Only what lies in the bytes is known again by them.
        if outcomes[name] in TRANSIENT_REASONS:
            assert result.content_hash == b""
        else:
            data = (tmp_path / name).read_bytes()
            assert result.content_hash == hashlib.sha256(data).digest()


def test_a_broken_photos_hash_is_that_of_the_bytes_that_were_broken(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be completed just after it was read."""
    whole = encoded(lopsided_picture(), "PNG")
    half = whole[: len(whole) // 2]
    path = tmp_path / "arrives.png"
    path.write_bytes(half)
    from facesearch import processing

    decode = processing.decode_photo

    def late(*arguments: object) -> object:
        path.write_bytes(whole)
        return decode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(processing, "decode_photo", late)
    (result,) = pipeline.process([PhotoTask(0, str(path))])
    assert result.failure is not None
    assert result.failure.reason == "truncated"
    assert result.content_hash == hashlib.sha256(half).digest()


@pytest.mark.parametrize(
    ("color", "words"),
    [("red", "stumbled"), ("blue", "without a direction"), ("cyan", "outside the photo")],
)
def test_a_models_failure_is_that_photos_alone(
    pipeline: Pipeline, tmp_path: Path, color: str, words: str
) -> None:
    colors = ["white", color, "green"]
    tasks = [save(tmp_path / f"{n}.png", each) for n, each in enumerate(colors)]
    good, bad, fine = pipeline.process(tasks)
    assert bad.failure is not None
    assert bad.failure.reason == "model-error"
    assert words in bad.failure.message
    assert bad.content_hash == hashlib.sha256(Path(tasks[1].path).read_bytes()).digest()
    for task, result in ((tasks[0], good), (tasks[2], fine)):
        (alone,) = pipeline.process([task])
        assert result.failure is None
        assert np.array_equal(result.embeddings, alone.embeddings)


def test_too_large_for_the_limit(make: Callable[..., Pipeline], tmp_path: Path) -> None:
    task = save(tmp_path / "a.png")
    (result,) = make(max_pixels=96 * 72 - 1).process([task])
    assert result.failure is not None
    assert result.failure.reason == "too-large"
    (result,) = make(max_pixels=96 * 72).process([task])
    assert result.failure is None


def test_embedding_faces_that_were_found_elsewhere(pipeline: Pipeline) -> None:
    from facesearch.photos import read_photo

    photo = read_photo(encoded(lopsided_picture(), "PNG"))
    faces = pipeline.detect(photo)
    rows = pipeline.embed(photo, faces[::-1])
    assert np.array_equal(rows[::-1], pipeline.embed(photo, faces))
    assert pipeline.embed(photo, []).shape == (0, DIM)


def test_photos_are_only_read(pipeline: Pipeline, tmp_path: Path) -> None:
    task = save(tmp_path / "a.png")
    os.utime(task.path, (1, 1))
    Path(task.path).chmod(0o444)
    pipeline.process([task])
    assert Path(task.path).stat().st_mtime == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_what_cannot_be_hashed_has_no_hash(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").touch()

    def vanished(path: str) -> bytes:
        raise PhotoError("vanished", path)

    monkeypatch.setattr("facesearch.processing.hash_file", vanished)
    (result,) = pipeline.process([PhotoTask(0, str(tmp_path / "a.png"))])
    assert result.failure is not None
    assert (result.failure.reason, result.content_hash) == ("empty", b"")


def test_a_turned_photo_is_searched_upright(pipeline: Pipeline, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    stream = io.BytesIO()
    lopsided_picture((96, 72)).save(stream, "JPEG", exif=turned)
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    (result,) = pipeline.process([PhotoTask(0, str(tmp_path / "a.jpg"))])
    assert result.facts is not None
    assert (result.facts.width, result.facts.height) == (72, 96)
    assert pipeline._detector.asked[0][0] == (96, 72, 3)
