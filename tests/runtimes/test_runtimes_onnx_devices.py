"""Which device ONNX Runtime takes, with a library of our own making in its place."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from facesearch.errors import DeviceError, ModelError
from facesearch.runtimes import NetworkSpec, RuntimeOptions, device_name, load_network
from facesearch.runtimes import onnx as runtime

CPU, CUDA = runtime.CPU, runtime.CUDA
GPU = RuntimeOptions("onnx", "gpu")
AUTO = RuntimeOptions("onnx", "auto", 3)


@dataclass
class FakeSession:
    """Runs on the first of ``providers`` that works."""

    providers: list[str]

    def get_providers(self) -> list[str]:
        return self.providers

    def get_outputs(self) -> list[Any]:
        return []


@dataclass
class FakeSettings:
    intra_op_num_threads: int = 0
    inter_op_num_threads: int = 0
    log_severity_level: int = 2
    entries: dict[str, str] = field(default_factory=dict)

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


@dataclass
class FakeLibrary:
    """``onnxruntime`` as far as it is used. ``broken`` providers are listed and do not work;
    with ``raising`` a session on a GPU is an error.
    """

    available: list[str]
    broken: tuple[str, ...] = ()
    raising: bool = False
    preloaded: int = 0
    asked: list[list[str]] = field(default_factory=list)
    settings: list[FakeSettings] = field(default_factory=list)

    def get_available_providers(self) -> list[str]:
        return self.available

    def preload_dlls(self) -> None:
        self.preloaded += 1
        print("Failed to load libcudnn.so")  # noqa: T201 (as the library does)

    def SessionOptions(self) -> FakeSettings:  # noqa: N802 (the library's name)
        self.settings.append(FakeSettings())
        return self.settings[-1]

    def InferenceSession(  # noqa: N802 (the library's name)
        self,
        graph: bytes,
        settings: FakeSettings,
        providers: list[Any],
        enable_fallback: int = 1,
    ) -> FakeSession:
        names = [name if isinstance(name, str) else name[0] for name in providers]
        assert enable_fallback == (names == [CPU])
        if self.raising and CUDA in names:
            raise RuntimeError("CUDA failure 35: driver too old")
        if graph == b"graph":  # the other one only tries whether the GPU works
            self.asked.append(names)
        return FakeSession([name for name in names if name not in self.broken])


Install = Callable[..., FakeLibrary]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a fake library in place, with these packages beside it."""
    read: list[tuple[str, str]] = []

    def read_graph(name: str, precision: str) -> bytes:
        read.append((name, precision))
        return b"graph"

    def put(*available: str, packages: tuple[str, ...] = (), **more: Any) -> FakeLibrary:
        library = FakeLibrary([*available, CPU], **more)
        monkeypatch.setattr(runtime, "import_runtime", lambda: library)
        monkeypatch.setattr(runtime, "read_graph", read_graph)
        monkeypatch.setattr(runtime, "multiplies_bytes_exactly", lambda: True)

        def version(package: str) -> str:
            if package in packages:
                return "1.99"
            raise importlib.metadata.PackageNotFoundError(package)

        monkeypatch.setattr(importlib.metadata, "version", version)
        library.read = read  # type: ignore[attr-defined]
        return library

    runtime.gpu_works.cache_clear()
    yield put
    runtime.gpu_works.cache_clear()


def _refusal(options: RuntimeOptions) -> str:
    with pytest.raises(DeviceError) as caught:
        load_network(NetworkSpec("facenet-128", options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_the_package_for_gpus(install: Install) -> None:
    install()

    assert _refusal(GPU) == (
        "ONNX Runtime finds no GPU here; use --device cpu, or on an NVIDIA machine: "
        "pip install 'onnxruntime-gpu[cuda,cudnn]'"
    )
    with pytest.raises(DeviceError, match="--device cpu"):
        device_name(GPU, "mtcnn-pnet")


def test_with_the_plain_package_lying_over_it(install: Install) -> None:
    install(packages=("onnxruntime", "onnxruntime-gpu"))

    line = _refusal(GPU)
    assert "the package without GPU support lies over the other" in line
    assert "pip uninstall -y onnxruntime && pip install" in line
    assert line.endswith("onnxruntime-gpu")


def test_without_its_libraries(install: Install) -> None:
    library = install(CUDA, packages=("onnxruntime-gpu",), broken=(CUDA,))

    line = _refusal(GPU)
    assert "CUDA or cuDNN libraries are missing" in line
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in line
    assert "--device cpu" in line
    assert library.asked == [[CUDA, CPU]]


def test_a_gpu_that_fails(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    library = install(CUDA, packages=("onnxruntime-gpu",))
    library.raising = True

    line = _refusal(GPU)
    assert "ONNX Runtime cannot use the GPU" in line
    assert "driver too old" in line
    load_network(NetworkSpec("facenet-128", AUTO))
    assert library.asked == [[CPU]]
    assert capsys.readouterr().out == ""


def test_auto_takes_the_gpu_in_float32(install: Install) -> None:
    library = install("TensorrtExecutionProvider", CUDA)

    load_network(NetworkSpec("facenet-128", AUTO))

    assert library.asked == [[CUDA, CPU]]
    assert library.preloaded >= 1
    assert library.read == [("facenet-128", "float32")]  # type: ignore[attr-defined]
    assert device_name(AUTO, "facenet-128") == "GPU, ONNX Runtime float32"
    assert device_name(GPU, "facenet-128") == "GPU, ONNX Runtime float32"


@pytest.mark.parametrize(
    ("available", "broken", "device"),
    [((), (), "auto"), ((CUDA,), (), "cpu"), ((CUDA,), (CUDA,), "auto")],
    ids=["auto without a GPU", "cpu with one", "auto with one that does not work"],
)
def test_the_processor_is_taken(
    install: Install, available: tuple[str, ...], broken: tuple[str, ...], device: str
) -> None:
    library, options = install(*available, broken=broken), RuntimeOptions("onnx", device, 3)

    load_network(NetworkSpec("facenet-128", options))

    assert library.asked == [[CPU]]
    assert library.read == [("facenet-128", "int8")]  # type: ignore[attr-defined]
    assert device_name(options, "facenet-128") == "CPU, ONNX Runtime int8"


def test_threads_are_those_asked_for_and_do_not_spin(install: Install) -> None:
    library = install()
    load_network(NetworkSpec("facenet-128", AUTO))

    (settings,) = library.settings
    assert (settings.intra_op_num_threads, settings.inter_op_num_threads) == (3, 1)
    assert settings.entries["session.intra_op.allow_spinning"] == "0"


@pytest.mark.parametrize(
    ("available", "taken"), [((), "tensorflow"), ((CUDA,), "onnx")], ids=["plain", "with CUDA"]
)
def test_a_gpu_that_onnx_runtime_cannot_use_is_tensorflow_s(
    install: Install, monkeypatch: pytest.MonkeyPatch, available: Any, taken: str
) -> None:
    from facesearch.runtimes import tensorflow

    install(*available)
    monkeypatch.setattr(tensorflow, "load", lambda spec: "tensorflow")
    monkeypatch.setattr(runtime, "load", lambda spec: "onnx")

    assert load_network(NetworkSpec("facenet-128", RuntimeOptions(device="gpu"))) == taken  # type: ignore[comparison-overlap]


def test_networks_that_onnx_runtime_lacks_are_tensorflow_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from facesearch.runtimes import tensorflow

    monkeypatch.setattr(tensorflow, "load", lambda spec: spec.name)

    assert load_network(NetworkSpec("vgg16")) == "vgg16"  # type: ignore[comparison-overlap]


def test_a_library_that_cannot_be_loaded_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)

    with pytest.raises(ModelError, match=r"pip install --force-reinstall onnxruntime$"):
        device_name(RuntimeOptions(), "facenet-128")


def test_a_graph_that_is_none_is_a_model_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "read_graph", lambda name, precision: b"no graph\nat all")

    with pytest.raises(ModelError, match="facenet-128 cannot be built") as caught:
        load_network(NetworkSpec("facenet-128", RuntimeOptions("onnx", "cpu")))
    assert "\n" not in str(caught.value)
