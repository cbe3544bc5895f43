"""Whole photos to rows: chunks and checks with a network of a line, then the real networks with
seeded random weights, each against Keras's own model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facesearch import weights
from facesearch.errors import ModelError, UsageError, WeightsError
from facesearch.extractors import EXTRACTORS, load_extractor
from facesearch.extractors.whole_photo import MAX_CHUNK, WholePhotoExtractor
from facesearch.index_options import recipe_of
from facesearch.photos import read_photo
from facesearch.processing import PhotoTask, Pipeline, ProcessSpec
from facesearch.recipes import EXTRACTORS as OPTIONS
from facesearch.recipes import ExtractorOptions
from facesearch.records import Box, Face
from facesearch.runtimes import RuntimeOptions
from facesearch.systems import SYSTEMS
from odd_photos import encoded

RAW = ExtractorOptions(dim=4, input_size=8, unit=False)
UNIT = ExtractorOptions(dim=4, input_size=8)
CPU = RuntimeOptions(device="cpu")
PHOTO_SYSTEMS = {s.recipe.extractor.model: s for s in SYSTEMS.values() if
                 s.recipe.subject == "photo"}  # fmt: skip
SEED = 5


class Corners:
    """A network whose rows are four pixels of the photo."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, batch: Any) -> dict[str, Any]:
        assert batch.dtype == np.float32
        self.sizes.append(len(batch))
        return {"embedding": batch[:, [0, 0, 1, 1], [0, -1, 2, 3], [0, 0, 1, 2]] + 1}


def photos(count: int, size: int = 8) -> Any:
    return np.random.default_rng(4).integers(0, 256, (count, size, size, 3), np.uint8)


def scene(size: tuple[int, int], seed: int) -> Image.Image:
    """Blots of colour."""
    blots = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC)


def test_rows_stay_as_the_network_gave_them() -> None:
    network = Corners()

    rows = WholePhotoExtractor(RAW, network).embed(photos(11))

    assert max(network.sizes) <= MAX_CHUNK
    assert sum(network.sizes) == 11
    np.testing.assert_array_equal(rows, Corners()(photos(11).astype(np.float32))["embedding"])


def test_rows_are_of_unit_length_where_the_options_say_so() -> None:
    rows = WholePhotoExtractor(UNIT, Corners()).embed(photos(3))

    expected = Corners()(photos(3).astype(np.float32))["embedding"]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, expected, rtol=1e-6)


def test_nothing_in_nothing_out() -> None:
    assert WholePhotoExtractor(RAW, Corners()).embed(photos(0)).shape == (0, 4)


def test_photos_of_another_size_are_refused() -> None:
    with pytest.raises(UsageError, match=r"crops must be \(n, 8, 8, 3\)"):
        WholePhotoExtractor(RAW, Corners()).embed(photos(1, 9))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.full((1, 4), np.inf, np.float32), "no numbers"),
        (np.ones((1, 5), np.float32), r"\(1, 5\) where the recipe says \(1, 4\)"),
    ],
)
def test_a_network_that_gives_no_embedding_is_a_model_error(rows: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        WholePhotoExtractor(RAW, lambda batch: {"embedding": rows}).embed(photos(1))


def test_every_model_of_a_system_has_an_extractor_and_weights() -> None:
    assert set(EXTRACTORS) == set(OPTIONS)
    for model in PHOTO_SYSTEMS:
        assert weights.find(model).dim == OPTIONS[model].dim


@dataclasses.dataclass(frozen=True)
class Kept:
    """A network with random weights that were kept, Keras's own model with them, and the whole
    photo's pipeline.
    """

    model: Any
    pipeline: Pipeline
    system: str


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESEARCH_HOME", str(home))
        yield home


def keep(name: str, folder: Path) -> Kept:
    from facesearch.runtimes.keras_h5 import write_weights
    from facesearch.runtimes.untrained import untrained_model
    from facesearch.weights.kept import UNTRAINED

    model = untrained_model(name, SEED)
    file = folder / "given.h5"
    write_weights(model, file, {UNTRAINED: SEED})
    weights.keep(name, file, {})
    file.unlink()
    system = PHOTO_SYSTEMS[name].name
    return Kept(model, ProcessSpec(recipe_of(system), 10**7, CPU)(), system)


@pytest.fixture(scope="module")
def small(cache: Path) -> Kept:
    return keep("small-cnn", cache)


@pytest.fixture(scope="module")
def inception(cache: Path) -> Kept:
    return keep("inception-resnet-v2", cache)


@pytest.fixture(scope="module")
def efficient(cache: Path) -> Kept:
    return keep("efficientnet-v2l", cache)


@pytest.fixture(scope="module")
def vgg(cache: Path) -> Kept:
    return keep("vgg16", cache)


def expected(network: Kept, picture: Image.Image, size: int) -> Any:
    """What a person would write in a notebook: Pillow, Keras's preprocessing, Keras's model."""
    import keras

    pixels = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC), np.float32)[None]
    apply = keras.applications
    if network.system.startswith("vgg16"):
        fc1 = keras.Model(network.model.inputs, network.model.get_layer("fc1").output)
        row = np.asarray(fc1(apply.vgg16.preprocess_input(pixels), training=False))
        return row[0] / np.linalg.norm(row)
    if network.system == "inception-resnet-v2":
        pixels = apply.inception_resnet_v2.preprocess_input(pixels)
    elif network.system == "efficientnet-v2l":
        pixels = apply.efficientnet_v2.preprocess_input(pixels)
    return np.asarray(network.model(pixels, training=False)).reshape(-1)


NETWORKS = [
    pytest.param("small", 250, 107_648),
    pytest.param("inception", 250, 55_296),
    pytest.param("vgg", 224, 4_096, marks=pytest.mark.full),
    pytest.param("efficient", 250, 81_920, marks=pytest.mark.full),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "size", "dim"), NETWORKS)
def test_a_photo_becomes_the_row_that_keras_gives(
    name: str, size: int, dim: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    network: Kept = request.getfixturevalue(name)
    picture = scene((320, 240), seed=3)
    path = tmp_path / "photo.png"
    picture.save(path)

    first, again = (network.pipeline.process([PhotoTask(0, str(path))])[0] for _ in range(2))

    assert first.failure is None
    (item,) = first.faces
    assert (item.box, item.landmarks, item.score) == (None, (), 1.0)
    assert item.sharpness > 0
    assert first.embeddings.shape == (1, dim)
    np.testing.assert_array_equal(first.embeddings, again.embeddings)
    row = expected(network, picture, size)
    assert np.linalg.norm(first.embeddings[0] - row) <= 1e-5 * np.linalg.norm(row)
    unit = OPTIONS[network.pipeline._recipe.extractor.model].unit
    assert (abs(np.linalg.norm(first.embeddings[0]) - 1) < 1e-5) == unit


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "size", "dim"), NETWORKS)
def test_a_row_does_not_depend_on_batch_mates(
    name: str, size: int, dim: int, request: pytest.FixtureRequest
) -> None:
    network: Kept = request.getfixturevalue(name)
    extractor = network.pipeline._extractor
    assert (extractor.subject, extractor.input_size, extractor.dim) == ("photo", size, dim)
    crops = photos(MAX_CHUNK + 1, size)

    together = extractor.embed(crops)
    alone = np.concatenate([extractor.embed(crop[None]) for crop in crops])

    lengths = np.linalg.norm(together, axis=1)
    assert (np.linalg.norm(together - alone, axis=1) <= 1e-5 * lengths).all()
    apart = np.linalg.norm(together[0] - together[1])
    assert apart > 0.01 * lengths[0]  # random weights, yet not the same row for every photo


def test_a_query_takes_the_photo_and_no_box(small: Kept) -> None:

    photo = read_photo(encoded(scene((90, 60), seed=1), "PNG"))
    (item,) = small.pipeline.detect(photo)

    assert item == Face(None, (), 1.0)
    assert small.pipeline.embed(photo, [item]).shape == (1, 107_648)
    assert small.pipeline.embed(photo, []).shape == (0, 107_648)
    with pytest.raises(UsageError, match="takes no box"):
        small.pipeline.embed(photo, [Face(Box(0, 0, 9, 9), (), 1.0)])


def test_random_weights_are_marked(small: Kept) -> None:
    found = weights.kept("small-cnn")
    assert found is not None
    assert found.untrained_seed == SEED
    assert small.pipeline._recipe.extractor.weights == found.sha256


def test_weights_exchanged_since_are_refused(small: Kept) -> None:
    options = dataclasses.replace(OPTIONS["small-cnn"], weights="0" * 64)
    with pytest.raises(WeightsError, match="wanted is 000000000000"):
        load_extractor(options, CPU)
