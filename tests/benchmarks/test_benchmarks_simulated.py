"""Simulated galleries: like what they were fitted to, the same for the same seed, real stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.measurements.sizes import measure_sizes
from benchmarks.processes import BenchmarkError
from benchmarks.sides import gallery, scans, simulate
from benchmarks.simulated import Labelled, fit, labelled
from benchmarks.simulated_store import Faces, write_store
from benchmarks.workbench import Options, Workbench

from facesearch.gallery.npz import NpzGallery
from facesearch.store import Store, check_store
from small_store import store_of_rows

DIM = 16


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def real():
    """People around a mean, their photos around them, in directions of their own."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, 400)
    people = 0.3 + rng.standard_normal((400, DIM)) * np.linspace(1, 0.1, DIM)
    person = np.repeat(np.arange(400), counts)
    off = rng.standard_normal((len(person), DIM)) * np.linspace(0.05, 0.3, DIM)
    return Labelled(unit(people[person] + off), person)


@pytest.fixture(scope="module")
def known(real, tmp_path_factory):
    photos = [
        (f"p{person:03}/{number:05}", row[None])
        for number, (person, row) in enumerate(zip(real.person, real.rows, strict=True))
    ]
    return store_of_rows(tmp_path_factory.mktemp("known") / "faces.npz", photos)


def sampled(people, faces, seed=1):
    sizes = people.sizes(faces, seed)
    rows = np.concatenate([photos for photos, _ in people.photos(sizes, seed)])
    return Labelled(rows, np.repeat(np.arange(len(sizes)), sizes))


def test_a_sample_is_like_what_was_fitted(real):
    first = fit(real)
    again = sampled(first, 20_000)
    assert np.allclose(np.linalg.norm(again.rows, axis=1), 1, atol=1e-6)
    second = fit(again)
    assert np.allclose(second.mean, first.mean, atol=0.05)
    for one, two in ((first.between, second.between), (first.within, second.within)):
        before, after = one.T @ one, two.T @ two
        assert np.abs(after - before).max() < 0.15 * np.abs(before).max()
    assert np.bincount(again.person).mean() == pytest.approx(first.counts.mean(), rel=0.05)


def test_the_same_for_the_same_seed_and_of_the_size_asked_for(real):
    people = fit(real)
    for faces in (1, 7, 20_000):
        assert len(sampled(people, faces).rows) == faces
    assert np.array_equal(sampled(people, 500).rows, sampled(people, 500).rows)
    assert not np.array_equal(sampled(people, 500, 2).rows, sampled(people, 500).rows)


def test_people_are_folders_and_photos_of_one_face_count(known, real):
    found = labelled(known)
    assert np.array_equal(found.person, real.person)
    assert np.array_equal(found.rows, real.rows)


def test_a_store_of_nobody_twice_says_so(tmp_path):
    store = store_of_rows(tmp_path / "f.npz", [("a/1", unit(np.eye(DIM)[:1]))])
    with pytest.raises(BenchmarkError, match="folders with several photos"):
        labelled(store)


def test_what_is_written_is_a_store_like_any_other(known, real, tmp_path):
    people = fit(real)
    sizes = people.sizes(5000, 1)
    photos = [rows for rows, _ in people.photos(sizes, 1)]
    write_store(
        tmp_path / "f.npz", known.recipe, Faces(np.repeat(np.arange(len(sizes)), sizes), photos)
    )
    store = Store.open(tmp_path / "f.npz")
    assert check_store(store) == []
    assert np.array_equal(store.rows[0], np.concatenate(photos))
    assert store.files.path(0) == "00000000/00000000.jpg"
    assert store.files.path(4999) == f"{len(sizes) - 1:08}/00004999.jpg"
    assert NpzGallery(store).coverage().faces == 5000


def run_side(module, capsys, monkeypatch, *arguments):
    import json

    monkeypatch.setattr("sys.argv", ["side", *map(str, arguments)])
    module.main()
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("among", [False, True])
def test_exact_search_finds_all_and_others_what_they_find(
    known, tmp_path, capsys, monkeypatch, among
):
    monkeypatch.setattr(simulate, "PROBES", 20)
    out = tmp_path / "s.npz"
    options = ["--faces", 3000, "--like", known.path, *(["--among"] if among else [])]
    made = run_side(simulate, capsys, monkeypatch, out, *options)
    assert made["bytes"] == Store.open(out).size
    with np.load(simulate.probes_of(out)) as arrays:
        probes = dict(arrays)
    rows = Store.open(out).rows[0]
    for probe, own, exact in zip(probes["rows"], probes["own"], probes["exact"], strict=True):
        distances = np.linalg.norm(rows.astype(float) - probe, axis=1)
        if own >= 0:
            assert distances[own] == 0
            distances[own] = np.inf
        assert sorted(exact) == sorted(np.argsort(distances, kind="stable")[:25])
    found = run_side(gallery, capsys, monkeypatch, out, "brute")
    assert (found["mates"], found["nearest"]) == (1.0, 1.0)
    assert 0.5 < found["rank_1"] <= 1
    alone = run_side(scans, capsys, monkeypatch, out, "faiss", "flat", "--probes", 10)
    assert alone["faiss"]["nearest"] == alone["flat"]["nearest"] == 1.0
    assert alone["faiss"]["mates"] == 1.0


class KnownSides(Workbench):
    """A search of ``n`` faces takes n / 100,000 ms; nothing is run."""

    def __init__(self, folder: Path, sizes) -> None:
        super().__init__(Options(folder, repeats=2, sizes=sizes), folder)
        self.store = folder / "store.npz"
        self.asked: list[tuple[str, ...]] = []
        self._size = 0

    def side(self, name, *arguments, watched=False):
        self.asked.append((name, *arguments))
        if name == "simulate":
            self._size = int(arguments[2])
            return {"seconds": 1.0, "people": 5, "bytes": 10**6}
        if name == "scans":
            backends = arguments[1 : arguments.index("--probes")]
            one = {"build_s": 1.0, "batch_a_second": 9.0, "mates": 1.0, "nearest": 1.0}
            return {
                each: {**one, "median_ms": 3.0 if each == "faiss" else 6.0} for each in backends
            }
        keys = ("p99_ms", "queries_a_second", "open_ms", "first_s", "own_mb", "mapped_mb")
        known = dict.fromkeys(keys, 50.0)
        quality = {"mates": 1.0, "nearest": 1.0, "rank_1": 1.0}
        return {"p50_ms": self._size / 100_000, **known, **quality}


def test_what_was_wanted_is_held_against_what_was_found(tmp_path):
    bench = KnownSides(tmp_path, (100_000, 1_000_000, 10_000_000))
    found = measure_sizes(bench)
    wanted = {ratio.name: ratio for ratio in found.ratios}
    over = wanted["faiss (8 bits, re-ranked) over float32 of faiss itself, 1,000,000 faces"]
    assert (over.samples, over.at_most) == ((0.5, 0.5), 0.7)
    assert wanted["a query over 120 ms, 10,000,000 faces"].median == pytest.approx(100 / 120)
    assert wanted["memory of its own over 4 GB, 10,000,000 faces"].reached
    growth = [ratio for name, ratio in wanted.items() if name.startswith("growth")]
    assert [ratio.median for ratio in growth] == [pytest.approx(1.0)] * 2
    assert found.figure("one query", "faiss, 10,000,000 faces").median == 100
    assert found.figure("first is a mate, real faces", "real faces among 1,000,000 simulated")
    hnsw = [asked for asked in bench.asked if asked[0] == "scans" and "hnsw" in asked]
    assert len(hnsw) == 2  # for the smallest alone, once a repeat
    assert not [*tmp_path.iterdir()]  # every store is gone
