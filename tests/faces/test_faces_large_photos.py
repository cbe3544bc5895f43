"""Large photos: levels by halving, P-Net over tiles, and faces found where they were set in."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facesearch.faces import load_detector
from facesearch.faces.mtcnn import (
    CELL,
    LARGE,
    STRIDE,
    TILE,
    MtcnnDetector,
    MtcnnNetworks,
    _spans,
    levels,
    pyramid,
    tiles,
)
from facesearch.recipes import DetectorOptions
from facesearch.records import Box
from facesearch.runtimes import NetworkSpec, RuntimeOptions, load_network

CPU = RuntimeOptions("onnx", "cpu")
LARGEST_TILE = 2 * TILE
PHOTO = "George_W_Bush/George_W_Bush_0001.jpg"


def cells(length: int) -> int:
    """How many of P-Net's cells there are along one side."""
    return -(-(length - 2) // STRIDE) - 4


@given(st.integers(CELL, 1000))
def test_parts_of_a_side_have_all_its_cells_once(length: int) -> None:
    spans = list(_spans(length))

    firsts = [start // STRIDE for start, _ in spans]
    counts = [cells(end - start) for start, end in spans]
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(start % STRIDE == 0 for start, _ in spans)
    assert all(CELL <= end - start <= LARGEST_TILE for start, end in spans)
    assert min(counts) >= 1
    assert [first + count for first, count in zip(firsts, counts, strict=True)] == [
        *firsts[1:], cells(length),
    ]  # fmt: skip


@given(st.integers(CELL, 500), st.integers(CELL, 500))
def test_tiles_are_the_parts_of_both_sides(height: int, width: int) -> None:
    level = np.broadcast_to(np.float32(0), (height, width, 3))
    seen = np.zeros((cells(height), cells(width)), np.int64)

    for top, left, tile in tiles(level):
        rows, columns = tile.shape[:2]
        assert min(rows, columns) >= CELL
        seen[top : top + cells(rows), left : left + cells(columns)] += 1

    assert (seen == 1).all()


@pytest.mark.weights
@pytest.mark.parametrize("size", [(201, 331), (211, 12), (13, 399), (372, 373)])
def test_the_maps_of_tiles_are_those_of_the_whole(size: tuple[int, int]) -> None:
    network = load_network(NetworkSpec("mtcnn-pnet", CPU))
    level = np.random.default_rng(3).uniform(0, 255, (*size, 3)).astype(np.float32)
    whole = network(level[None])
    assert whole["face"].shape == (1, cells(size[0]), cells(size[1]))
    joined = {name: np.full_like(array, np.nan) for name, array in whole.items()}

    parts = list(tiles(level))
    for top, left, tile in parts:
        for name, array in network(np.ascontiguousarray(tile)[None]).items():
            rows, columns = array.shape[1:3]
            joined[name][:, top : top + rows, left : left + columns] = array

    assert len(parts) > 1
    for name, array in whole.items():
        np.testing.assert_allclose(joined[name], array, atol=1e-5)


def worked_on(pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Pixels as the detector hands them to ``levels``."""
    return pixels if min(pixels.shape[:2]) >= LARGE else pixels.astype(np.float32)


@pytest.mark.parametrize("shorter", [639, 640, 641, 1283])
@pytest.mark.parametrize("upright", [True, False])
def test_a_constant_photo_stays_constant_at_every_level(shorter: int, upright: bool) -> None:
    size = (shorter + 301, shorter) if upright else (shorter, shorter + 301)
    image = worked_on(np.full((*size, 3), (10, 100, 250), np.uint8))
    scales = pyramid(shorter, 20, 0.709)

    made = list(levels(image, scales))

    assert [level.shape for level in made] == [
        (int(size[0] * scale), int(size[1] * scale), 3) for scale in scales
    ]
    for level in made:
        assert level.dtype == image.dtype
        np.testing.assert_allclose(level, np.broadcast_to([10, 100, 250], level.shape), atol=1e-3)


@pytest.mark.parametrize("shorter", [639, 640, 641])
def test_only_large_photos_are_halved_and_never_below_a_level(
    shorter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2

    before = cv2.resize
    calls: list[tuple[tuple[int, int], tuple[int, int], int]] = []

    def resize(image: NDArray[np.generic], size: tuple[int, int], interpolation: int) -> object:
        calls.append((image.shape[1::-1], tuple(size), interpolation))
        return before(image, size, interpolation=interpolation)

    monkeypatch.setattr(cv2, "resize", resize)
    image = worked_on(np.zeros((shorter, shorter + 7, 3), np.uint8))
    scales = pyramid(shorter, 20, 0.709)
    sizes = [(level.shape[1], level.shape[0]) for level in levels(image, scales)]

    halvings = [call for call in calls if call[1] not in sizes]
    drawn = [call for call in calls if call[1] in sizes]
    assert [size for _, size, _ in drawn] == sizes
    if shorter < LARGE:
        assert halvings == []
        assert {(source, method) for source, _, method in drawn} == {
            ((shorter + 7, shorter), cv2.INTER_AREA)
        }
        return
    assert len(halvings) == 5  # to 20 pixels: one more would be less than the least level, of 13
    assert halvings[0][0] == (shorter + 7, shorter)
    assert all(size == (w // 2, h // 2) for (w, h), size, _ in halvings)
    assert all(method == cv2.INTER_AREA for _, _, method in halvings)
    assert all(before[1] == after[0] for before, after in pairwise(halvings))
    for (width, height), (_, to), method in ((call[0], call[1], call[2]) for call in drawn):
        assert to <= min(width, height) < 2 * to + 2
        assert method == cv2.INTER_LINEAR


@pytest.mark.parametrize("shorter", [639, 640])
def test_a_level_of_a_large_photo_shows_what_a_smaller_ones_shows(shorter: int) -> None:
    """The same picture, one pixel smaller or larger, but for the rounding of its colours."""
    along = np.linspace(20, 230, shorter)
    pixels = np.stack(np.broadcast_arrays(along[:, None], along[None], 90.0), axis=-1)
    image = worked_on(pixels.round().astype(np.uint8))

    for level in levels(image, pyramid(shorter, 20, 0.709)):
        height, width = level.shape[:2]
        expected = 20 + 210 * (np.arange(height) + 0.5) / height
        np.testing.assert_allclose(level[:, width // 2, 0], expected, atol=2.5)
        expected = 20 + 210 * (np.arange(width) + 0.5) / width
        np.testing.assert_allclose(level[height // 2, :, 1], expected, atol=2.5)


@pytest.mark.parametrize("shorter", [LARGE - 1, LARGE])
def test_networks_get_float32_whatever_the_levels_are(shorter: int) -> None:
    taken: list[NDArray[np.generic]] = []

    def network(batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        taken.append(batch)
        grid = (1, cells(batch.shape[1]), cells(batch.shape[2]))
        return {"face": np.zeros(grid, np.float32), "box": np.zeros((*grid, 4), np.float32)}

    detector = MtcnnDetector(DetectorOptions(), MtcnnNetworks(network, network, network))
    assert detector.detect(np.full((shorter, 700, 3), 77, np.uint8), 40) == []

    assert taken
    assert {batch.dtype for batch in taken} == {np.dtype(np.float32)}
    assert all(batch.ndim == 4 and len(batch) == 1 for batch in taken)
    for batch in taken:
        np.testing.assert_allclose(batch, 77, atol=1e-3)


@pytest.mark.weights
@pytest.mark.lfw
@pytest.mark.parametrize("place", [(300, 0), (501, 1)])
def test_a_face_in_a_large_photo_is_found_where_it_is(lfw: Path, place: tuple[int, int]) -> None:
    with Image.open(lfw / PHOTO) as opened:
        photo = opened.convert("RGB")
    canvas = Image.effect_noise((2000, 1500), 30).convert("RGB")
    canvas = canvas.filter(ImageFilter.GaussianBlur(6))
    canvas.paste(photo.resize((1500, 1500), Image.Resampling.BICUBIC), place)
    detector = load_detector(DetectorOptions(), CPU)

    (small,) = detector.detect(np.asarray(photo), 20)
    (found,) = detector.detect(np.asarray(canvas), 30)

    assert small.box is not None
    assert found.box is not None
    expected = Box(*(6 * side for side in (small.box.x, small.box.y)),
                   6 * small.box.width, 6 * small.box.height)  # fmt: skip
    near = 0.03 * max(expected.width, expected.height)
    shown = np.array([found.box.x - place[0], found.box.y - place[1]])
    sides = np.array([found.box.width, found.box.height])
    assert np.abs(shown - [expected.x, expected.y]).max() <= near
    assert np.abs(shown + sides - [
        expected.x + expected.width, expected.y + expected.height
    ]).max() <= near  # fmt: skip
    assert found.score > 0.95
