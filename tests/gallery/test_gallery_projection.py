"""The PCA of a store: kept, believed while photos are the same, fitted again when they change."""

import numpy as np

from facesearch.gallery import projection
from facesearch.gallery.projection import pca_of
from facesearch.records import PhotoEntry
from facesearch.search.pca import PcaBackend, fit_pca
from facesearch.store import Store, StoreWriter, check_store
from small_store import result_of_rows, store_of_rows

DIM = 6


def photos(count):
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(count, DIM)).astype(np.float32)
    return [(f"{n:02}", rows[n : n + 1] / np.linalg.norm(rows[n])) for n in range(count)]


def test_fitted_once_for_the_same_photos(tmp_path, monkeypatch):
    store = store_of_rows(tmp_path / "f.npz", photos(20))
    first = pca_of(store, 3)
    assert first.components.shape == (3, DIM)
    monkeypatch.setattr(projection, "fit_pca", None)  # it would be called to fit again
    again = pca_of(Store.open(store.path), 3)
    assert again.sha256 == first.sha256
    found = PcaBackend(store.rows[0], 3, again).search(store.rows[0][4:5], 2)
    assert found[0, 0] == 4


def test_another_number_of_components_is_another_fit(tmp_path):
    store = store_of_rows(tmp_path / "f.npz", photos(5))
    assert len(pca_of(store, 2).components) == 2
    assert len(pca_of(Store.open(store.path), 400).components) == 4
    assert set(Store.open(store.path).head.derived) == {"pca-2", "pca-400"}


def test_fitted_again_when_photos_change_and_the_rows_stay(tmp_path):
    path = tmp_path / "f.npz"
    store = store_of_rows(path, photos(20))
    first, digest = pca_of(store, 3), store.content_digest()
    assert Store.open(path).content_digest() == digest
    new = np.eye(DIM, dtype=np.float32)[:1]
    with StoreWriter.open(path, store.recipe) as writer:
        writer.remove(0, "07")
        writer.put((0, PhotoEntry("new", 1, 1)), result_of_rows("new", new))
        writer.commit((1, 2))
        half_way = pca_of(writer.store, 3)
        writer.finish()
    assert Store.open(path).head.derived == {}
    assert not (tmp_path / "f.npz.derived").exists()
    later = pca_of(Store.open(path), 3)
    assert later.sha256 == half_way.sha256 != first.sha256
    rows = np.concatenate([row for name, row in photos(20) if name != "07"] + [new])
    expected = fit_pca(rows, 3)
    np.testing.assert_allclose(np.abs(later.components), np.abs(expected.components), atol=1e-4)
    assert check_store(Store.open(path)) == []
