import pickle
import subprocess
import sys

import pytest

from facesearch.errors import DeviceError, UsageError
from facesearch.runtimes import NetworkSpec, RuntimeOptions, device_name, load_network


def test_a_spec_travels_to_another_process() -> None:
    spec = NetworkSpec("facenet-128", device="cpu", threads=2, standardise="fixed")

    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.options == RuntimeOptions("tensorflow", "cpu", 2)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"runtime": "abacus"}, "tensorflow"),
        ({"device": "tpu"}, "auto, cpu, gpu"),
        ({"threads": 0}, "at least one thread"),
    ],
)
def test_options_that_mean_nothing_are_refused(fields: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        RuntimeOptions(**fields)  # type: ignore[arg-type]


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="mtcnn-pnet, mtcnn-rnet"):
        load_network(NetworkSpec("vgg", device="cpu"))


def test_without_a_gpu_auto_says_cpu_and_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])

    assert device_name(RuntimeOptions(device="auto")) == "CPU"
    with pytest.raises(DeviceError, match="--device cpu"):
        device_name(RuntimeOptions(device="gpu"))
    with pytest.raises(DeviceError, match="--device cpu"):
        load_network(NetworkSpec("mtcnn-pnet", device="gpu"))


def test_a_gpu_is_taken_by_auto_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    config = tf.config
    monkeypatch.setattr(config, "list_physical_devices", lambda kind=None: ["gpu 0"])
    monkeypatch.setattr(
        config.experimental, "get_device_details", lambda gpu: {"device_name": f"Name of {gpu}"}
    )
    monkeypatch.setattr(config.experimental, "set_memory_growth", lambda gpu, on: None)

    assert device_name(RuntimeOptions(device="auto")) == "Name of gpu 0"
    assert device_name(RuntimeOptions(device="gpu")) == "Name of gpu 0"
    assert device_name(RuntimeOptions(device="cpu")) == "CPU"


def test_importing_the_rooms_loads_no_heavy_library() -> None:
    code = (
        "import sys, facesearch.runtimes, facesearch.faces.mtcnn, facesearch.faces.crop, "
        "facesearch.extractors.facenet\n"
        "from facesearch.runtimes import RuntimeOptions, device_name\n"
        "assert device_name(RuntimeOptions(device='cpu')) == 'CPU'\n"
        "print([n for n in ('tensorflow', 'keras', 'cv2', 'h5py', 'joblib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_loading_and_running_a_network_writes_nothing_on_the_terminal() -> None:
    code = (
        "import numpy as np\n"
        "from facesearch.runtimes import NetworkSpec, load_network\n"
        "network = load_network(NetworkSpec('mtcnn-rnet', device='cpu'))\n"
        "assert network(np.zeros((2, 24, 24, 3), np.float32))['face'].shape == (2,)\n"
        "import tensorflow as tf\n"
        "assert tf.config.threading.get_intra_op_parallelism_threads() == 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("", "")
