"""MTCNN's first layers are drawn in another arrangement; what they compute is the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facesearch.errors import WeightsError
from facesearch.runtimes.graphs import mtcnn

SLOPES = st.one_of(
    st.floats(-2, -0.125, width=32),
    st.floats(0, 1, width=32),
    st.floats(1.125, 3, width=32),
    st.sampled_from([0.0, 1.0]),
)


def _run(graph: bytes, pixels: NDArray[np.float32], output: str) -> Any:
    session = onnxruntime.InferenceSession(graph)
    return session.run([output], {"pixels": pixels})[0]


def _convolved(x: Any, kernel: Any, bias: Any) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nyxcij,ijco->nyxo", windows, kernel) + bias


def _prelu(x: Any, slope: Any) -> Any:
    return np.where(x > 0, x, slope * x)


def _pooled(x: Any, size: int) -> Any:
    """The largest of each window that begins inside, one every two places."""
    rows, columns = (-(-(side - size) // 2) + 1 for side in x.shape[1:3])
    parts = [
        [
            x[:, 2 * row : 2 * row + size, 2 * column : 2 * column + size].max(axis=(1, 2))
            for column in range(columns)
        ]
        for row in range(rows)
    ]
    return np.stack([np.stack(line, axis=1) for line in parts], axis=1)


@settings(max_examples=60, deadline=None)
@given(
    slopes=st.lists(SLOPES, min_size=1, max_size=20),
    size=st.sampled_from([2, 3]),
    sides=st.tuples(st.integers(5, 12), st.integers(5, 12)),
    seed=st.integers(0, 99),
)
def test_the_first_layer_is_convolution_then_prelu_then_pooling(
    slopes: list[float], size: int, sides: tuple[int, int], seed: int
) -> None:
    random, count = np.random.default_rng(seed), len(slopes)
    kernel = random.normal(0, 1, (3, 3, 3, count)).astype(np.float32)
    bias = random.normal(0, 1, count).astype(np.float32)
    slope = np.array(slopes, np.float32).reshape(1, 1, count)
    pixels = random.integers(0, 256, (2, *sides, 3)).astype(np.float32)

    net = mtcnn._Mtcnn([kernel, bias, slope], 3)
    value = net.first("conv_1", size)
    graph = net.graph.build("tiny", None, {value.name: ["channels", "rows", "columns"]})
    drawn = _run(graph, pixels, value.name).transpose(0, 2, 3, 1)

    x = _prelu(_convolved((pixels.astype(np.float64) - 127.5) / 128, kernel, bias), slope)
    assert value.order is not None and value.sign is not None
    assert sorted(value.order) == list(range(count))
    np.testing.assert_allclose(drawn * value.sign, _pooled(x, size)[..., value.order], atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    first=st.lists(SLOPES, min_size=1, max_size=8),
    second=st.lists(st.floats(-2, 1, width=32), min_size=1, max_size=8),
    seed=st.integers(0, 99),
)
def test_the_layer_after_it_knows_the_order_and_the_signs(
    first: list[float], second: list[float], seed: int
) -> None:
    random = np.random.default_rng(seed)
    arrays = [
        random.normal(0, 1, (3, 3, 3, len(first))).astype(np.float32),
        random.normal(0, 1, len(first)).astype(np.float32),
        np.array(first, np.float32).reshape(1, 1, -1),
        random.normal(0, 1, (2, 2, len(first), len(second))).astype(np.float32),
        random.normal(0, 1, len(second)).astype(np.float32),
        np.array(second, np.float32).reshape(1, 1, -1),
    ]
    pixels = random.integers(0, 256, (1, 11, 9, 3)).astype(np.float32)

    net = mtcnn._Mtcnn(arrays, 6)
    name = net.conv("conv_2", net.first("conv_1", 2))
    graph = net.graph.build("tiny", None, {name: ["channels", "rows", "columns"]})
    drawn = _run(graph, pixels, name).transpose(0, 2, 3, 1)

    x = (pixels.astype(np.float64) - 127.5) / 128
    x = _pooled(_prelu(_convolved(x, *arrays[:2]), arrays[2]), 2)
    x = _prelu(_convolved(x, *arrays[3:5]), arrays[5])
    np.testing.assert_allclose(drawn, x, atol=1e-3)


def test_a_later_slope_above_one_is_refused() -> None:
    arrays = [np.ones((1, 1, 3, 2), np.float32), np.ones(2, np.float32), np.full(2, 1.5)]

    with pytest.raises(WeightsError, match="slope above 1"):
        mtcnn._Mtcnn(arrays, 3).conv("conv_2", "pixels")
