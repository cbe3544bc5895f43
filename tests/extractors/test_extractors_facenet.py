from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from facesearch.errors import ModelError, UsageError
from facesearch.extractors import Extractor, load_extractor
from facesearch.extractors.facenet import MAX_CHUNK, FaceNetExtractor
from facesearch.extractors.rows import chunks
from facesearch.faces import load_detector
from facesearch.faces.crop import crop_faces
from facesearch.recipes import CropOptions, DetectorOptions, ExtractorOptions
from facesearch.runtimes import RuntimeOptions

SMALL = ExtractorOptions(dim=4, input_size=8)
CPU = RuntimeOptions(device="cpu")


class Corners:
    """A network whose rows are four pixels of the crop."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, batch: Any) -> dict[str, Any]:
        assert batch.dtype == np.float32
        self.sizes.append(len(batch))
        corners = batch[:, [0, 0, 1, 1], [0, -1, 2, 3], [0, 0, 1, 2]]
        return {"embedding": corners + 1}


def _crops(count: int) -> Any:
    return np.random.default_rng(4).integers(0, 256, (count, 8, 8, 3), np.uint8)


@given(st.integers(0, 500), st.integers(1, 70))
@example(500, MAX_CHUNK)
def test_chunks_cover_everything_once_in_even_sizes(count: int, largest: int) -> None:
    parts = list(chunks(count, largest))

    assert [row for part in parts for row in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert len(sizes) == -(-count // largest)
    assert all(1 <= size <= largest for size in sizes)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_rows_are_of_unit_length_and_in_order() -> None:
    network = Corners()
    crops = _crops(45)

    rows = FaceNetExtractor(SMALL, network).embed(crops)

    assert network.sizes == [15, 15, 15]
    assert (rows.shape, rows.dtype) == ((45, 4), np.float32)
    expected = Corners()(crops.astype(np.float32))["embedding"]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, expected, rtol=1e-6)


def test_flip_averages_with_the_mirrored_crop() -> None:
    crops = _crops(3)
    plain = FaceNetExtractor(SMALL, Corners())
    flipping = FaceNetExtractor(ExtractorOptions(dim=4, input_size=8, flip=True), Corners())

    both = plain.embed(crops) + plain.embed(crops[:, :, ::-1])
    both /= np.linalg.norm(both, axis=1, keepdims=True)

    np.testing.assert_allclose(flipping.embed(crops), both, rtol=1e-5)
    np.testing.assert_allclose(flipping.embed(crops), flipping.embed(crops[:, :, ::-1]), rtol=1e-5)


def test_nothing_in_nothing_out() -> None:
    network = Corners()

    assert FaceNetExtractor(SMALL, network).embed(_crops(0)).shape == (0, 4)
    assert network.sizes == []


@pytest.mark.parametrize("shape", [(2, 9, 8, 3), (8, 8, 3), (1, 8, 8, 1)])
def test_crops_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"crops must be \(n, 8, 8, 3\)"):
        FaceNetExtractor(SMALL, Corners()).embed(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.full((1, 4), np.nan, np.float32), "without a direction"),
        (np.zeros((1, 4), np.float32), "without a direction"),
        (np.ones((1, 5), np.float32), r"\(1, 5\) where the recipe says \(1, 4\)"),
    ],
)
def test_a_network_that_gives_no_embedding_is_a_model_error(rows: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        FaceNetExtractor(SMALL, lambda batch: {"embedding": rows}).embed(_crops(1))


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="facenet-128, facenet-512"):
        load_extractor(ExtractorOptions(model="arcface"), CPU)


@pytest.fixture(scope="module")
def facenet(weights: Path) -> Extractor:
    return load_extractor(ExtractorOptions(), CPU)


@pytest.fixture(scope="module")
def people(lfw: Path) -> Any:
    """(6, 160, 160, 3): two crops each of three people."""
    detector = load_detector(DetectorOptions(), CPU)
    names = ("George_W_Bush", "Serena_Williams", "Vladimir_Putin")
    crops = []
    for name in names:
        for number in (1, 2):
            path = lfw / name / f"{name}_{number:04}.jpg"
            pixels = np.asarray(Image.open(path).convert("RGB"))
            found = detector.detect(pixels, 60)
            central = min(found, key=lambda face: abs(face.box.center[0] - 125))
            crops.append(crop_faces(pixels, [central], CropOptions(), 160))
    return np.concatenate(crops)


@pytest.mark.weights
def test_it_says_what_it_is(facenet: Extractor) -> None:
    assert (facenet.subject, facenet.input_size, facenet.dim) == ("face", 160, 128)


@pytest.mark.weights
@pytest.mark.lfw
def test_photos_of_one_person_are_nearer_than_those_of_two(facenet: Extractor, people: Any) -> None:
    similarity = facenet.embed(people) @ facenet.embed(people).T

    assert np.allclose(np.diag(similarity), 1, atol=1e-5)
    np.fill_diagonal(similarity, -1)
    assert similarity.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


@pytest.mark.weights
@pytest.mark.lfw
def test_a_row_does_not_depend_on_batch_mates(facenet: Extractor, people: Any) -> None:
    many = np.concatenate([people] * 7)  # goes through in three chunks

    together = facenet.embed(many)
    alone = np.concatenate([facenet.embed(crop[None]) for crop in people])

    assert np.abs(together - np.concatenate([alone] * 7)).max() < 1e-5


@pytest.mark.weights
@pytest.mark.lfw
def test_brightness_and_contrast_hardly_count(facenet: Extractor, people: Any) -> None:
    """Each face is standardised by itself inside the network."""
    dimmed = (people * 0.6 + 20).astype(np.uint8)

    assert (facenet.embed(people) * facenet.embed(dimmed)).sum(axis=1).min() > 0.99
