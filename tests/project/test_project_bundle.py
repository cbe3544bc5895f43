"""scripts/bundle and the set-up inside a bundle: a tiny stand-in, and once the whole thing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
BUNDLING = ROOT / "scripts" / "bundling"
WHEEL = "facesearch-9.9-py3-none-any.whl"
PACKAGE = {
    "facesearch/__init__.py": "def main(): print('it runs')\n",
    "facesearch/weights.py": "import os, pathlib\n"
    "def home(): return pathlib.Path(os.environ['FACESEARCH_HOME'])\n",
    "facesearch-9.9.dist-info/METADATA": "Metadata-Version: 2.1\nName: facesearch\nVersion: 9.9\n"
    "Requires-Dist: never-to-be-looked-for\n",
    "facesearch-9.9.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
    "Tag: py3-none-any\n",
    "facesearch-9.9.dist-info/entry_points.txt": "[console_scripts]\n"
    "facesearch = facesearch:main\n",
}
MODEL = "home/models/tiny.h5"
STAND_IN = """
import os, pathlib, signal, sys
sys.path.insert(0, {bundling!r})
import make_bundle
def fill(bundle, workshop, *, tensorflow):
    (bundle / "wheels").mkdir()
    (bundle / "wheels" / "a file").write_text(str(tensorflow))
    {then}
make_bundle.fill = fill
sys.exit(make_bundle.main())
"""


@pytest.fixture
def bundling(monkeypatch):
    """The two modules that scripts/bundle and set-up run."""
    monkeypatch.syspath_prepend(str(BUNDLING))
    import make_bundle
    import set_up

    return make_bundle, set_up


def write_wheel(path: Path) -> None:
    record = "facesearch-9.9.dist-info/RECORD"
    lines = []
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in PACKAGE.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            lines.append(f"{name},sha256={digest.decode().rstrip('=')},{len(text)}")
        archive.writestr(record, "\n".join([*lines, f"{record},,"]) + "\n")


class Bundle:
    """A bundle of one small wheel and one small model, and the machine that it is set up on."""

    def __init__(self, folder: Path, modules) -> None:
        self.make_bundle, self.set_up_module = modules
        self.folder = folder / "a bundle"
        self.target = folder / "new" / "env"
        self.home = folder / "cache"
        (self.folder / "wheels").mkdir(parents=True)
        write_wheel(self.folder / "wheels" / WHEEL)
        model = self.folder / MODEL
        model.parent.mkdir(parents=True)
        model.write_bytes(b"weights")
        for name in ("set-up", "set_up.py"):
            shutil.copy(BUNDLING / name, self.folder)
        about = {"schema": 1, "facesearch": "9.9", "installed_bytes": 1000}
        self.describe(about | {"machine": self.set_up_module.this_machine()})

    def describe(self, about: dict) -> None:
        (self.folder / "bundle.json").write_text(json.dumps(about, indent=2))
        self.sum_up()

    def change(self, **fields) -> None:
        about = json.loads((self.folder / "bundle.json").read_text())
        machine = about["machine"] | fields.pop("machine", {})
        self.describe(about | {"machine": machine} | fields)

    def sum_up(self) -> None:
        (self.folder / "SHA256SUMS").unlink(missing_ok=True)
        self.make_bundle.write_sums(self.folder)

    def set_up(self, *command: str | Path, **environment: str):
        """Run set-up, by default through its shell script with this very Python."""
        names = {"PYTHON": sys.executable, "FACESEARCH_HOME": str(self.home)}
        return subprocess.run(
            [*(command or ["sh", self.folder / "set-up"]), self.target],
            cwd=self.folder.parent,
            env=os.environ | names | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def bundle(tmp_path, bundling):
    return Bundle(tmp_path, bundling)


def refused(done, *named: str) -> None:
    assert done.returncode == 1, done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    for words in named:
        assert words in done.stderr


def test_set_up_and_again(bundle):
    first = bundle.set_up(PIP_NO_SUCH_SETTING="1", PIP_INDEX_URL="nowhere")
    assert (first.returncode, first.stderr) == (0, "")
    program = bundle.target / "bin" / "facesearch"
    assert subprocess.check_output([program], text=True) == "it runs\n"
    assert first.stdout.splitlines()[-2:] == [
        f"  {program} index FOLDER",
        f"  {program} query PHOTO -k 25",
    ]
    placed = bundle.home / "models" / "tiny.h5"
    assert placed.read_bytes() == b"weights"

    inode, program_inode = placed.stat().st_ino, program.stat().st_ino
    again = bundle.set_up()
    assert "already" in again.stdout
    assert (placed.stat().st_ino, program.stat().st_ino) == (inode, program_inode)

    placed.write_bytes(b"damaged")
    (placed.parent / "own.h5").write_bytes(b"mine")
    bundle.target = bundle.target.rename(bundle.target.with_name("moved on"))
    assert bundle.set_up().returncode == 0
    moved = bundle.target / "bin" / "facesearch"
    assert subprocess.check_output([moved], text=True) == "it runs\n"
    assert placed.read_bytes() == b"weights"
    assert sorted(path.name for path in placed.parent.iterdir()) == ["own.h5", "tiny.h5"]


def test_set_up_that_was_stopped_goes_on_and_keeps_what_others_put_there(bundle):
    (bundle.folder / "wheels" / WHEEL).write_bytes(b"no wheel")
    bundle.sum_up()
    refused(bundle.set_up(), "pip", WHEEL, "install.log")
    (bundle.target / "faces.npz").write_bytes(b"a store")
    write_wheel(bundle.folder / "wheels" / WHEEL)
    bundle.sum_up()
    done = bundle.set_up()
    assert done.returncode == 0, done.stderr
    assert (bundle.target / "bin" / "facesearch").is_file()
    assert (bundle.target / "faces.npz").read_bytes() == b"a store"


@pytest.mark.parametrize("name", ["SHA256SUMS", MODEL, f"wheels/{WHEEL}", "set-up"])
def test_a_file_that_is_missing_is_named(bundle, name):
    (bundle.folder / name).unlink()
    done = bundle.set_up(sys.executable, bundle.folder / "set_up.py")
    refused(done, str(bundle.folder / name), "missing")
    assert not bundle.target.exists()


@pytest.mark.parametrize("text", [None, "", '{"machine":'])
def test_a_bundle_that_does_not_say_what_it_is_for(bundle, text):
    about = bundle.folder / "bundle.json"
    about.unlink() if text is None else about.write_text(text)
    refused(bundle.set_up(), str(about), "copy the whole bundle again")
    refused(bundle.set_up(sys.executable, bundle.folder / "set_up.py"), str(about))


@pytest.mark.parametrize("name", [MODEL, f"wheels/{WHEEL}", "bundle.json"])
def test_a_file_with_other_bytes_is_named(bundle, name):
    path = bundle.folder / name
    path.write_bytes(path.read_bytes() + b" ")
    refused(bundle.set_up(), str(path), "damaged")
    assert not bundle.target.exists()


@pytest.mark.parametrize(
    ("machine", "named"),
    [
        ({"machine": "vax"}, "vax"),
        ({"system": "plan9"}, "plan9"),
        ({"abi": "cpython-311t"}, "cpython-311t"),
        ({"glibc": "99.1"}, "99.1"),
    ],
)
def test_another_machine_is_refused(bundle, machine, named):
    bundle.change(machine=machine)
    refused(bundle.set_up(), "this bundle", named)
    assert not bundle.target.exists()


def test_another_python_is_refused(bundle):
    bundle.change(machine={"python": "3.99"})
    refused(bundle.set_up(), "Python 3.99")
    refused(bundle.set_up(PYTHON=""), "Python 3.99")
    refused(bundle.set_up(sys.executable, bundle.folder / "set_up.py"), "Python 3.99")
    assert not bundle.target.exists()


def test_an_older_glibc_will_do(bundling):
    _, set_up = bundling
    here = set_up.this_machine() | {"glibc": "2.36"}
    set_up.check_machine(here | {"glibc": "2.4"}, here)
    set_up.check_machine(here | {"glibc": ""}, here)
    with pytest.raises(set_up.SetUpError, match=r"2\.100"):
        set_up.check_machine(here | {"glibc": "2.100"}, here)


def test_too_little_space_is_told_before_anything_is_written(bundle):
    bundle.change(installed_bytes=10**18)
    refused(bundle.set_up(), str(bundle.target), "1000000000.00 GB")
    assert not bundle.target.exists()


def test_a_folder_that_holds_something_is_refused(bundle):
    bundle.target.mkdir(parents=True)
    (bundle.target / "photo.jpg").write_bytes(b"")
    refused(bundle.set_up(), str(bundle.target), "not empty")
    assert [path.name for path in bundle.target.iterdir()] == ["photo.jpg"]


def test_a_folder_that_cannot_be_made_is_named(bundle):
    bundle.target.parent.write_bytes(b"a file, not a folder")
    refused(bundle.set_up(), str(bundle.target.parent))


def make(target: Path, then: str = "pass", *options: str):
    """scripts/bundle with a stand-in for everything that needs a network."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            STAND_IN.format(bundling=str(BUNDLING), then=then),
            *options,
            target,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_bundle_comes_with_sums_that_can_be_checked(tmp_path):
    target = tmp_path / "deeper" / "my bundle"
    done = make(target)
    assert (done.returncode, done.stderr) == (0, "")
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=target, check=True)
    listed = {line[66:] for line in (target / "SHA256SUMS").read_text().splitlines()}
    assert listed == {"wheels/a file"}
    assert (target / "wheels" / "a file").read_text() == "True"
    assert [path.name for path in target.parent.iterdir()] == ["my bundle"]
    refused(make(target), str(target), "not empty")


def test_without_tensorflow_is_passed_on(tmp_path):
    make(tmp_path / "slim", "pass", "--without-tensorflow")
    assert (tmp_path / "slim" / "wheels" / "a file").read_text() == "False"


@pytest.mark.parametrize(
    ("then", "code", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", 130, ""),
        ("raise KeyboardInterrupt", 130, "interrupted"),
        ("raise OSError(28, 'No space left on device', 'wheels')", 1, "wheels: No space left"),
        ("raise make_bundle.SetUpError('pip failed')", 1, "bundle: pip failed"),
    ],
)
def test_an_unfinished_bundle_leaves_nothing(tmp_path, then, code, said):
    done = make(tmp_path / "bundle", then)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_killed_run_leaves_nothing_that_looks_complete(tmp_path):
    target = tmp_path / "bundle"
    assert make(target, "os.kill(os.getpid(), signal.SIGKILL)").returncode == -9
    assert not target.exists()
    assert not list(tmp_path.rglob("SHA256SUMS"))
    assert make(target).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_folder_of_the_same_name_is_not_removed(tmp_path):
    (tmp_path / "bundle.unfinished").mkdir()
    (tmp_path / "bundle.unfinished" / "letter.txt").write_text("mine")
    refused(make(tmp_path / "bundle"), "bundle.unfinished", "in the way")
    assert (tmp_path / "bundle.unfinished" / "letter.txt").read_text() == "mine"


def test_leaving_tensorflow_out_changes_nothing_else(bundling):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    whole, slim = tomllib.loads(text), tomllib.loads(bundling[0].without_tensorflow(text))
    kept = whole["project"]["dependencies"]
    left_out = [line for line in kept if Requirement(line).name in {"tensorflow", "keras"}]
    assert "tensorflow" in {Requirement(line).name for line in left_out}
    whole["project"]["dependencies"] = [line for line in kept if line not in left_out]
    assert slim == whole
    with pytest.raises(bundling[1].SetUpError, match="no TensorFlow"):
        bundling[0].without_tensorflow(bundling[0].without_tensorflow(text))


@pytest.mark.parametrize(
    ("tags", "needed"),
    [
        (["py3-none-any"], "2.5"),
        (["cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64"], "2.27"),
        (["cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64"], "2.17"),
        (["cp311-abi3-manylinux1_x86_64", "cp311-cp311-manylinux_2_28_x86_64"], "2.28"),
        (["cp311-cp311-linux_x86_64", "cp311-cp311-manylinux_2_28_x86_64"], "2.36"),
    ],
)
def test_the_oldest_glibc_is_read_off_the_wheels(bundling, tags, needed):
    assert bundling[0].glibc_needed([f"a-1-{tag}.whl" for tag in tags], "2.36") == needed


@pytest.mark.parametrize("script", ["scripts/bundle", "scripts/bundling/set-up"])
def test_the_scripts_can_be_run(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_help_and_unknown_options(bundle):
    for script in (ROOT / "scripts" / "bundle", bundle.folder / "set-up"):
        helped = subprocess.check_output(["bash", script, "--help"], text=True)
        assert "FOLDER" in helped
        for arguments in (["--nonsense", "folder"], []):
            command = ["bash", script, *arguments]
            wrong = subprocess.run(command, capture_output=True, text=True, check=False)
            assert wrong.returncode == 2
            assert wrong.stderr.count("\n") == 1


def test_what_pip_said_is_told_in_one_line(tmp_path):
    done = subprocess.run(
        [ROOT / "scripts" / "bundle", tmp_path / "bundle"],
        env=os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    refused(done, "pip wheel failed: ERROR", "setuptools", str(tmp_path / "bundle.log"))
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.log"]


@pytest.mark.full
@pytest.mark.weights
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("options", [[], ["--without-tensorflow"]], ids=["whole", "slim"])
def test_from_nothing_to_an_answer_with_the_network_off(tmp_path, options):
    alone = ["unshare", "-rn"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("unshare cannot take the network away here")
    bundle, env, photos = tmp_path / "bundle", tmp_path / "env", tmp_path / "photos"
    command = [ROOT / "scripts" / "bundle", *options, bundle]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=bundle, check=True)
    assert any(bundle.glob("wheels/tensorflow-*")) is not bool(options)
    assert any(bundle.glob("home/models/*.onnx"))

    (tmp_path / "home").mkdir()
    clean = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "PYTHON": sys.executable}

    def offline(*command: str | Path) -> str:
        done = subprocess.run(
            [*alone, *command], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    no_network = "import socket; s = socket.socket(); s.settimeout(5); print(s.connect_ex(ANY))"
    errno = int(offline(sys.executable, "-c", no_network.replace("ANY", "('192.0.2.1', 443)")))
    assert errno == 101  # Network is unreachable.
    offline("sh", bundle / "set-up", env)
    program, store = env / "bin" / "facesearch", tmp_path / "faces.npz"
    offline(program, "datasets", "pull", "samples", "--to", photos)
    people = [photos / "train" / name for name in ("elton_john", "madonna")]
    offline(program, "index", *people, "--store", store)
    probe = photos / "val" / "elton_john" / "elton_john_0018.jpg"
    paths = offline(program, "query", probe, "-k", "3", "--format", "paths", "--store", store)
    assert len(paths.splitlines()) == 3
    assert all("elton_john" in path for path in paths.splitlines())
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    # No other program's identifiers, logs or caches come along.
    assert [path for path in kept if "facesearch" not in path.parts] == []
