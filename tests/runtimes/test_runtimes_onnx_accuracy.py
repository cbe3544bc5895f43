"""Whole indexes in 8-bit arithmetic and in float32: nothing is found less well."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.photos import POI_PHOTOS, all_photos, link, spread
from benchmarks.precision import accuracy, agreement

import facesearch
from facesearch.datasets import people, read_pairs
from facesearch.evaluation.comparing import compare
from facesearch.index_options import IndexOptions
from facesearch.store import Store

pytestmark = [pytest.mark.full, pytest.mark.lfw, pytest.mark.weights]

FOLDS = 10
PAIRS = 15
"""Of each kind in a fold."""
OTHERS = 300


@pytest.fixture
def pairs(lfw: Path, tmp_path: Path) -> Path:
    """Some of the pairs of each fold of View 2."""
    source = lfw.parent / "lfw_pairs.txt"
    if not source.is_file():
        pytest.skip("no file of pairs beside the photos")
    first, *lines = source.read_text(encoding="utf-8").splitlines()
    folds, count = map(int, first.split())
    starts = [kind * count for kind in range(2 * folds)]
    taken = [line for start in starts for line in lines[start : start + PAIRS]]
    file = tmp_path / "pairs.txt"
    file.write_text("\n".join([f"{folds}\t{PAIRS}", *taken, ""]), encoding="utf-8")
    assert len(read_pairs(file)) == 2 * FOLDS * PAIRS
    return file


@pytest.fixture
def photos(lfw: Path, pairs: Path, tmp_path: Path) -> Path:
    """Everybody with six photos, the photos of the pairs, and photos of other people."""
    named = people(lfw)
    pois = {name for name, found in named.items() if len(found) == POI_PHOTOS}
    chosen = {name: set(named[name]) for name in pois}
    for pair in read_pairs(pairs):
        for side in (pair.first, pair.second):
            photo = named[side.person][side.number - 1]
            chosen.setdefault(side.person, set()).add(photo)
    for name in chosen.keys() - pois:
        if len(chosen[name]) == POI_PHOTOS:  # who has more is nobody to search for
            chosen[name] |= set(named[name][: POI_PHOTOS + 1])
    others = [found[0] for name, found in sorted(named.items()) if name not in chosen]
    taken = [*spread(others, OTHERS), *(photo for found in chosen.values() for photo in found)]
    folder = link(sorted(taken), tmp_path / "photos")
    assert sum(len(found) == POI_PHOTOS for found in people(folder).values()) == len(pois) == 55
    return folder


@pytest.fixture
def home(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder in which nothing was measured yet."""
    place = tmp_path / "home"
    place.mkdir()
    (place / "models").symlink_to(weights.parent)
    monkeypatch.setenv("FACESEARCH_HOME", str(place))
    return place


@pytest.mark.timeout(3600)
def test_int8_loses_no_accuracy(home: Path, photos: Path, pairs: Path, tmp_path: Path) -> None:
    stores = {}
    for precision in ("float32", "int8"):
        path = tmp_path / f"{precision}.npz"
        options = IndexOptions(runtime="onnx", device="cpu", precision=precision, offline=True)
        summary = facesearch.index(photos, path, options)
        assert summary.failed == 0
        assert precision in summary.device
        stores[precision] = Store.open(path)

    faces = agreement(stores["float32"], stores["int8"])
    assert faces["both"] == faces["first"] == faces["second"] >= len(all_photos(photos))
    assert 0.998 <= faces["cosine_mean"] < 0.999999

    records = [accuracy(store, photos, pairs) for store in stores.values()]
    compared = {(found.protocol, found.measure): found for found in compare(records, seed=0)}
    assert set(compared) == {("pois", "rank_1"), ("pois", "map"), ("pairs", "accuracy")}
    for found in compared.values():
        assert (found.system, found.reference) == ("int8", "float32")
        assert found.difference.high >= 0, found
