"""``facesearch index --system``: which store each system has, and that one failing stops none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from facesearch import weights
from facesearch.cli.index_systems import stores_of
from facesearch.errors import UsageError, WeightsError
from facesearch.indexing import IndexHooks
from facesearch.store import Store, check_path
from facesearch.systems import SYSTEMS
from photo_library import Library, PoolInHere

WHOLE = "vgg16-l2"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Models whose weights are not here; all others have a hash, whatever this machine holds."""
    absent: set[str] = set()

    def sha256_of(name: str) -> str:
        if name in absent:
            raise WeightsError(f"{name}: weights missing; run: facesearch train {name} FOLDER")
        return "ab" * 32

    monkeypatch.setattr(weights, "sha256_of", sha256_of)
    return absent


@pytest.fixture
def program(
    library: Library,
    missing: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Any,
) -> Callable[..., Done]:
    """Runs a command line in the library's folder, with its networks; 6 photos are there."""
    from facesearch.cli.main import run

    monkeypatch.chdir(library.home)
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FACESEARCH_STORE", raising=False)
    monkeypatch.setattr("facesearch.indexing.WorkerPool", PoolInHere)

    def hooks(*given: Any) -> IndexHooks:
        return IndexHooks(*given, **{"factory": library.networks, **library.hooks})

    monkeypatch.setattr("facesearch.indexing.IndexHooks", hooks)
    library.add_many(6)

    def go(*arguments: object) -> Done:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return Done(code, *capfd.readouterr())

    return go


def stores(library: Library) -> dict[str, str]:
    """Name of each store -> its recipe."""
    return {path.name: Store.open(path).recipe.name for path in sorted(library.home.glob("*.npz"))}


def test_one_system_goes_to_the_store_as_given(library: Library, program: Callable[..., Done]):
    done = program("index", "photos", "--system", WHOLE, "--store", "mine.npz")
    assert done.code == 0
    assert stores(library) == {"mine.npz": "vgg16"}
    assert done.err.startswith(f"store: {library.home}/mine.npz\n")
    assert done.out.startswith("6 photos seen: 6 new, 0 unchanged, 0 removed, 0 failed\n")
    assert "face" not in done.out.replace("facesearch", "")
    assert "faces=" not in done.err
    assert "failed=0" in done.err
    made = Store.open(library.home / "mine.npz")
    assert (len(made.faces), made.dim) == (6, 4096)
    assert check_path(library.home / "mine.npz", deep=True) == []
    again = program("index", "--store", "mine.npz")
    assert "6 photos seen: 0 new, 6 unchanged" in again.out


def test_the_json_of_one_system_is_as_ever(library: Library, program: Callable[..., Done]):
    facts = json.loads(program("index", "photos", "--system", WHOLE, "--json").out)
    assert (facts["schema"], facts["subject"], facts["seen"]) == (1, "photo", 6)
    assert (facts["faces"], facts["without_face"], facts["small_faces"]) == (6, 0, [])
    other = json.loads(program("index", "photos", "--store", "b.npz", "--json").out)
    assert other["subject"] == "face"


def test_several_have_a_store_for_each_recipe(library: Library, program: Callable[..., Done]):
    named = ("vgg16-l2", "facenet", "vgg16-pca", "mtcnn-facenet")
    options = [part for name in named for part in ("--system", name)]
    done = program("index", "photos", *options)
    assert done.code == 0
    assert stores(library) == {
        "faces-mtcnn-facenet.npz": "mtcnn-facenet",
        "faces-vgg16.npz": "vgg16",
        "faces.npz": "facenet",
    }
    heads = [line for line in done.out.splitlines() if line.startswith("== ")]
    assert heads == ["== vgg16-l2, vgg16-pca", "== facenet", "== mtcnn-facenet"]
    assert done.out.count("6 photos seen: 6 new") == 3
    again = program("index", "photos", *options, "--json")
    facts = json.loads(again.out)
    assert (facts["schema"], len(facts["systems"])) == (1, 3)
    first = facts["systems"][0]
    assert first["systems"] == ["vgg16-l2", "vgg16-pca"]
    assert (first["recipe"], first["error"]) == ("vgg16", None)
    assert first["store"] == first["summary"]["store"] == f"{library.home}/faces-vgg16.npz"
    assert [run["summary"]["unchanged"] for run in facts["systems"]] == [6, 6, 6]


def test_one_that_fails_is_told_and_the_others_follow(
    library: Library, program: Callable[..., Done], missing: set[str]
):
    missing.add("small-cnn")
    options = ("--system", "small-cnn", "--system", "facenet", "--json", "--log", "run.json")
    done = program("index", "photos", *options)
    assert done.code == 1
    assert "facesearch: small-cnn: small-cnn: weights missing; run: " in done.err
    failed, good = json.loads(done.out)["systems"]
    assert json.loads((library.home / "run.json").read_text()) == json.loads(done.out)
    assert failed["summary"] is None
    assert failed["error"].startswith("small-cnn: weights missing")
    assert good["summary"]["new"] == 6
    assert stores(library) == {"faces.npz": "facenet"}
    plain = program("index", "photos", *options[:4])
    assert plain.code == 1
    assert plain.out.startswith("== facenet\n6 photos seen: 0 new, 6 unchanged")


def test_all(library: Library, program: Callable[..., Done], missing: set[str]):
    missing |= {"inception-resnet-v2", "efficientnet-v2l", "small-cnn", "small-cnn-without-pois"}
    done = program("index", "photos", "--system", "all", "--json")
    assert done.code == 1
    runs = json.loads(done.out)["systems"]
    assert sorted(name for run in runs for name in run["systems"]) == sorted(SYSTEMS)
    assert {run["recipe"] for run in runs if run["error"]} == missing
    assert set(stores(library).values()) == {"facenet", "facenet-best", "mtcnn-facenet", "vgg16"}


def test_a_dry_run_of_several_writes_nothing(library: Library, program: Callable[..., Done]):
    options = ("--system", WHOLE, "--system", "facenet", "--dry-run")
    done = program("index", "photos", *options)
    assert done.code == 0
    assert done.out.count("6 photos found, 6 to read") == 2
    runs = json.loads(program("index", "photos", *options, "--json").out)["systems"]
    assert [run["prediction"]["to_read"] for run in runs] == [6, 6]
    assert "summary" not in runs[0]
    # A row of 4,096 numbers a photo, to 128 a face.
    assert runs[0]["prediction"]["store_bytes"] > 6 * 4096 * 4
    assert stores(library) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--system", "abacus"],
        ["--system", WHOLE, "--model", "facenet-128"],
        ["--system", WHOLE, "--system", "facenet", "--model", "facenet-128"],
        ["--system", WHOLE, "--min-face", "30"],
        ["nowhere", "--system", WHOLE, "--system", "facenet"],
    ],
)
def test_what_cannot_be_meant(library: Library, program: Callable[..., Done], arguments):
    done = program("index", "photos", *arguments)
    assert (done.code, done.out) == (2, "")
    assert stores(library) == {}


def test_a_usage_error_after_the_first_store_stops_none(
    library: Library, program: Callable[..., Done]
):
    options = ("--system", "facenet", "--system", WHOLE, "--system", "facenet-best")
    done = program("index", "photos", *options, "--min-face", "30")
    assert done.code == 1
    assert "facesearch: vgg16-l2: --min-face" in done.err
    assert stores(library) == {"faces-facenet-best.npz": "facenet-best", "faces.npz": "facenet"}


def test_photos_that_fail_and_strict(library: Library, program: Callable[..., Done]):
    library.add("bad.jpg", "broken")
    options = ("--system", WHOLE, "--system", "facenet")
    assert program("index", "photos", *options).code == 0
    assert program("index", "photos", *options, "--strict").code == 1


def test_ctrl_c_ends_all(library: Library, program: Callable[..., Done]):
    class Interrupted:
        def __init__(self, spec: Any) -> None:
            self.describe = library.networks(spec).describe

        def process(self, batch: Any) -> Any:
            raise KeyboardInterrupt

    library.hooks["factory"] = lambda spec: lambda: Interrupted(spec)
    done = program("index", "photos", "--system", WHOLE, "--system", "facenet")
    assert done.code == 130
    assert done.err.count("store: ") == 1


def test_stores_beside_any_name():
    named = stores_of(["facenet", "vgg16-l2"], Path("/a/my.faces.npz"))
    assert [each.path for each in named] == [
        Path("/a/my.faces.npz"),
        Path("/a/my.faces-vgg16.npz"),
    ]
    assert [each.path for each in stores_of([], Path("/a/f.npz"))] == [Path("/a/f.npz")]
    (one,) = stores_of(["vgg16-l2", "vgg16-l2"], Path("/a/f.npz"))
    assert (one.path, one.system, one.shared) == (Path("/a/f.npz"), "vgg16-l2", False)
    with pytest.raises(UsageError, match="no system is named"):
        stores_of(["facenet", "x"], Path("/a/f.npz"))
