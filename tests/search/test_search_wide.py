"""Rows in blocks: the same answers, and memory that the number of rows does not decide."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.search import blocks, exact, load_backend
from facesearch.search.distances import euclidean

DIM = 4
CHUNK = 20
BACKENDS = ["sklearn", "brute", "faiss-flat"]


def whole_numbers(rng, count):
    """Rows of which many are equal, whose distances tie, and none is rounded."""
    return rng.integers(-3, 4, (count, DIM)).astype(np.float32)


def small_blocks(patch):
    """Makes rows of ``DIM`` numbers so wide that scikit-learn takes its smallest chunk."""
    patch.setattr(exact, "rows_at_once", lambda dim, size=0: 1)
    patch.setattr("facesearch.search.brute.blocks", lambda *shape: blocks.blocks(*shape, 7 * 32))


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 90),
    asked=st.integers(0, 45),
    k=st.integers(0, 100),
)
@pytest.mark.parametrize("name", BACKENDS)
def test_as_a_plain_sort_of_all_distances(name, seed, count, asked, k):
    rng = np.random.default_rng(seed)
    rows, queries = whole_numbers(rng, count), whole_numbers(rng, asked)
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch)
        found = load_backend(name, rows).search(queries, k)
    assert found.shape == (len(queries), min(k, len(rows)))
    for query, indices in zip(queries, found, strict=True):
        distances = euclidean(query, rows)
        assert distances[indices].tolist() == np.sort(distances)[:k].tolist()
        assert len(set(indices.tolist())) == len(indices)


@pytest.mark.parametrize("name", BACKENDS)
def test_long_and_short_rows_together(monkeypatch, name):
    rng = np.random.default_rng(3)
    rows = (rng.standard_normal((300, DIM)) * 10.0 ** rng.integers(-3, 4, (300, 1))).astype("f4")
    small_blocks(monkeypatch)
    found = load_backend(name, rows).search(rows[:20], 3 * CHUNK)
    for query, indices in zip(rows[:20], found, strict=True):
        distances = euclidean(query, rows)
        # A tiny row has its like at the same distance from a long one, to all digits of float32.
        nearest = np.sort(distances)[: 3 * CHUNK]
        np.testing.assert_allclose(distances[indices], nearest, rtol=1e-6)


def test_wide_rows_alone_are_taken_in_smaller_chunks():
    import sklearn

    def chunk(dim):
        with exact.ExactBackend(np.zeros((0, dim), np.float32))._bounded(1):
            return sklearn.get_config()["pairwise_dist_chunk_size"]

    assert chunk(128) == chunk(4096) == chunk(32_768) == 256
    assert chunk(81_920) == 102
    assert chunk(1 << 20) == CHUNK


@given(st.integers(0, 50), st.integers(1, 9), st.integers(0, 500))
def test_blocks_cover_all_rows_in_order(count, dim, size):
    found = list(blocks.blocks(count, dim, size))
    assert [row for span in found for row in range(count)[span]] == list(range(count))
    assert all((span.stop - span.start) * dim * 8 <= max(size, dim * 8) for span in found)


MEASURE = """
import sys, resource
import numpy as np
from facesearch.search import load_backend
rows = np.memmap(sys.argv[1], np.float32, "r", shape=(int(sys.argv[2]), int(sys.argv[3])))
load_backend("sklearn", np.zeros((300, 4), np.float32)).search(np.zeros((1, 4), np.float32), 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = load_backend(sys.argv[4], rows).search(np.array(rows[[5, 1]]), 20)
assert found[:, 0].tolist() == [5, 1]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts peak memory in Linux's kilobytes")
@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_beside_the_file_stays_small(tmp_path, backend):
    count, dim = 600, 81_920
    rng = np.random.default_rng(0)
    with (tmp_path / "rows").open("wb") as file:
        for _ in range(count):
            file.write(rng.random(dim, np.float32).tobytes())
    command = [sys.executable, "-c", MEASURE, tmp_path / "rows", str(count), str(dim), backend]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    beside = int(done.stdout) * 1024 - count * dim * 4
    # scikit-learn's usual chunks take 336 MB a thread.
    assert beside < 9 * blocks.BLOCK_BYTES
