"""What is looked at on a machine, and that nothing that is wrong ends the looking."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from facesearch import diagnosis
from facesearch.diagnosis import EXTRAS, diagnose, read_requirement
from facesearch.errors import ModelError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def store(tmp_path) -> Path:
    return tmp_path / "faces.npz"


def about(name: str, found: diagnosis.Diagnosis) -> list[diagnosis.Finding]:
    return [each for each in found.findings if each.about == name]


def test_every_extra_has_a_purpose():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"test"}
    lines = [*project["dependencies"], *project["optional-dependencies"]["s3"]]
    read = [read_requirement(line) for line in lines]
    assert all(
        each.name and line.startswith(each.name) for each, line in zip(read, lines, strict=True)
    )


@pytest.mark.parametrize(
    ("line", "name", "least", "exact", "extra", "pip"),
    [
        ("click>=8.1", "click", "8.1", False, "", "'click>=8.1'"),
        ("mtcnn==1.0.0", "mtcnn", "1.0.0", True, "", "'mtcnn==1.0.0'"),
        ("tqdm", "tqdm", "", False, "", "tqdm"),
        ('ray[data]>=2.60; extra == "ray"', "ray", "2.60", False, "ray", "'ray[data]>=2.60'"),
        (
            "milvus-lite>=2.4; sys_platform != 'win32' and extra == 'milvus'",
            "milvus-lite", "2.4", False, "milvus", "'milvus-lite>=2.4'",
        ),
    ],
)  # fmt: skip
def test_requirements_are_read(line, name, least, exact, extra, pip):
    read = read_requirement(line)
    assert (read.name, read.least, read.exact, read.extra) == (name, least, exact, extra)
    assert read.pip_text == pip


@pytest.mark.parametrize(
    ("line", "installed", "wrong"),
    [
        ("a>=1.10", "1.9.7", "a 1.9.7 is older than 1.10"),
        ("a>=1.10", "1.10", None),
        ("a>=1.10", "1.10.0rc1", None),
        ("a>=2.0", "2", None),
        ("a==1.0.0", "1.0.1", "a 1.0.1 is not 1.0.0"),
        ("a==1.0.0", "1.0.0", None),
        ("a>=1", None, "a is not installed"),
    ],
)
def test_versions_are_compared_as_numbers(line, installed, wrong, monkeypatch):
    monkeypatch.setattr(diagnosis, "_version", lambda name: installed)
    assert diagnosis._wrong(read_requirement(line)) == wrong


def test_a_package_that_is_missing_is_a_problem_and_an_extra_is_not(home, store, monkeypatch):
    lines = ["click>=8.1", "nothing-of-that-name>=2", 'neither-this>=3; extra == "faiss"']
    monkeypatch.setattr(diagnosis, "requirements", lambda: [read_requirement(x) for x in lines])
    found = diagnose(store)
    assert not found.healthy
    problem, right = about("packages", found)
    assert (problem.state, problem.remedy) == ("problem", "pip install 'nothing-of-that-name>=2'")
    assert right.text.startswith("click ")
    (extra,) = about("extra faiss", found)
    assert extra.state == "ok"
    assert "pip install 'neither-this>=3'" in extra.text


@pytest.mark.parametrize("error", [ModelError("no ONNX Runtime here"), ImportError("numpy.core")])
def test_a_check_that_fails_is_a_finding_and_the_others_go_on(home, store, monkeypatch, error):
    def fail(options, name):
        raise error

    monkeypatch.setattr("facesearch.runtimes.choosing.device_name", fail)
    found = diagnose(store)
    (broken,) = about("networks", found)
    assert broken.state == "problem"
    assert str(error) in broken.text
    assert about("cache folder", found)
    assert about("store", found)


def test_a_gpu_that_the_runtime_does_not_know(home, store, monkeypatch):
    monkeypatch.setattr(
        "facesearch.runtimes.choosing.gpu_trouble", lambda: ("a GPU is here", "install that")
    )
    (gpu,) = about("gpu", diagnose(store))
    assert (gpu.state, gpu.remedy) == ("warning", "install that")


def test_why_it_is_8_bits_or_not(home, store, monkeypatch):
    for exact, word in ((True, "int8: 8-bit arithmetic is exact"), (False, "float32: this proc")):
        for place in ("precision", "onnx"):
            monkeypatch.setattr(
                f"facesearch.runtimes.{place}.multiplies_bytes_exactly", lambda exact=exact: exact
            )
        monkeypatch.setattr(
            "facesearch.runtimes.onnx._device", lambda wanted: "CPUExecutionProvider"
        )
        (networks,) = about("networks", diagnose(store))
        assert word in networks.text


def test_a_cache_folder_that_is_a_file(home, store):
    home.write_text("in the way")
    (folder,) = about("cache folder", diagnose(store))
    assert folder.state == "problem"
    assert str(home) in folder.text


@pytest.mark.parametrize(
    ("mode", "told"), [(0o720, True), (0o702, True), (0o777, True), (0o755, False), (0o1777, False)]
)
def test_a_cache_folder_that_others_can_write(home, store, mode, told):
    home.mkdir()
    home.chmod(mode)
    remedies = [each.remedy for each in about("rights", diagnose(store))]
    assert remedies == ([f"chmod go-w {home}"] if told else [])


def test_embeddings_that_others_can_read(home, store):
    (home / "eval").mkdir(parents=True)
    home.chmod(0o700)
    (home / "eval").chmod(0o755)
    (rights,) = about("rights", diagnose(store))
    assert "tells of the people" in rights.text


def test_a_network_whose_package_is_missing(home, store, monkeypatch):
    from facesearch.errors import WeightsError

    def missing(package):
        raise WeightsError("the package mtcnn is not installed; run: pip install mtcnn")

    monkeypatch.setattr(sys.modules["facesearch.weights.pull"], "package_folder", missing)
    found = diagnose(store)
    (pnet,) = about("weights mtcnn-pnet", found)
    assert pnet.state == "problem"
    assert about("weights facenet-128", found)


@pytest.mark.weights
def test_a_whole_installation_is_healthy_and_graphs_are_hashed(weights, tmp_path, monkeypatch):
    found = diagnose(tmp_path / "faces.npz")
    assert about("weights facenet-128", found)[0].state == "ok"
    copy = tmp_path / "home" / "models"
    copy.mkdir(parents=True)
    for file in weights.parent.glob("facenet-128.*"):
        (copy / file.name).symlink_to(file)
    graph = copy / "facenet-128.float32.onnx"
    graph.unlink()
    graph.write_bytes(b"another graph")
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    found = diagnose(tmp_path / "faces.npz")
    right, damaged = about("weights facenet-128", found)
    assert (right.state, damaged.state) == ("ok", "problem")
    assert str(graph) in damaged.text
    assert damaged.remedy == "facesearch models pull facenet-128"


def test_nothing_heavy_is_imported(home, store):
    code = (
        "import sys\nfrom pathlib import Path\nfrom facesearch.diagnosis import diagnose\n"
        f"diagnose(Path({str(store)!r}))\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"tensorflow", "keras", "keras_facenet", "mtcnn", "sklearn", "faiss", "ray"}
