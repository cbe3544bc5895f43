import pickle
import subprocess
import sys

import pytest

from facesearch.errors import DeviceError, UsageError
from facesearch.runtimes import NetworkSpec, RuntimeOptions, device_name, load_network


def test_a_spec_travels_to_another_process() -> None:
    options = RuntimeOptions("onnx", "cpu", 2, "float32")
    spec = NetworkSpec("facenet-128", options, standardise="fixed", sha256="ab")

    assert pickle.loads(pickle.dumps(spec)) == spec
    assert NetworkSpec("facenet-128").options == RuntimeOptions("auto", "auto", 1, "auto")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"runtime": "abacus"}, "auto, onnx, tensorflow"),
        ({"device": "tpu"}, "auto, cpu, gpu"),
        ({"threads": 0}, "at least one thread"),
        ({"precision": "float16"}, "auto, int8, float32"),
        ({"runtime": "tensorflow", "precision": "int8"}, "leave out --precision int8"),
    ],
)
def test_options_that_mean_nothing_are_refused(fields: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        RuntimeOptions(**fields)  # type: ignore[arg-type]


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="mtcnn-pnet, mtcnn-rnet"):
        load_network(NetworkSpec("vgg", RuntimeOptions(device="cpu")))


def test_without_a_gpu_auto_says_cpu_and_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])

    gpu = RuntimeOptions("tensorflow", "gpu")
    assert device_name(RuntimeOptions("tensorflow"), "mtcnn-pnet") == "CPU, TensorFlow float32"
    with pytest.raises(DeviceError, match="--device cpu"):
        device_name(gpu, "mtcnn-pnet")
    with pytest.raises(DeviceError, match="--device cpu"):
        load_network(NetworkSpec("mtcnn-pnet", gpu))


def test_a_gpu_is_taken_by_auto_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    config = tf.config
    monkeypatch.setattr(config, "list_physical_devices", lambda kind=None: ["gpu 0"])
    monkeypatch.setattr(
        config.experimental, "get_device_details", lambda gpu: {"device_name": f"Name of {gpu}"}
    )
    monkeypatch.setattr(config.experimental, "set_memory_growth", lambda gpu, on: None)

    names = [
        device_name(RuntimeOptions("tensorflow", device), "facenet-128")
        for device in ("auto", "gpu", "cpu")
    ]
    assert names == [*["Name of gpu 0, TensorFlow float32"] * 2, "CPU, TensorFlow float32"]


def test_importing_the_rooms_loads_no_heavy_library() -> None:
    code = (
        "import sys, facesearch.runtimes, facesearch.faces.mtcnn, facesearch.faces.crop, "
        "facesearch.extractors.facenet\n"
        "from facesearch.runtimes import RuntimeOptions, device_name\n"
        "cpu = RuntimeOptions(device='cpu', precision='float32')\n"
        "assert device_name(cpu, 'facenet-128') == 'CPU, ONNX Runtime float32'\n"
        "cpu = RuntimeOptions('tensorflow', 'cpu')\n"
        "assert device_name(cpu, 'facenet-128') == 'CPU, TensorFlow float32'\n"
        "heavy = 'tensorflow keras onnx onnxruntime cv2 h5py joblib'\n"
        "print([n for n in heavy.split() if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("runtime", ["onnx", "tensorflow"])
def test_loading_and_running_a_network_writes_nothing_on_the_terminal(runtime: str) -> None:
    code = (
        "import sys, numpy as np\n"
        "from facesearch.runtimes import *\n"
        f"options = RuntimeOptions({runtime!r}, 'cpu')\n"
        "make_ready(['mtcnn-rnet'], options, Fetch(offline=True))\n"
        "network = load_network(NetworkSpec('mtcnn-rnet', options))\n"
        "assert network(np.zeros((2, 24, 24, 3), np.float32))['face'].shape == (2,)\n"
        "tf = sys.modules.get('tensorflow')\n"
        "assert not tf or tf.config.threading.get_intra_op_parallelism_threads() == 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("", "")
