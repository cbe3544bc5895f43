"""The shell scripts: what they install, when they install nothing, what they say when they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = (
    "scripts/demo",
    "scripts/docs",
    "scripts/test",
    "scripts/venv",
    "scripts/ci-setup",
    ".ci/run",
)
STAND_IN = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
    "-c import sys"*) exit "${TOO_OLD:-0}" ;;
    --version) echo "Python 3.11.0" ;;
    "-m venv --clear "*)
        rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    "-m pip install"*)
        [ -z "${KILLED:-}" ] || kill -9 $PPID
        [ -z "${NO_NETWORK:-}" ] || { echo "ERROR: no network"; exit 1; } ;;
esac
"""


def run(script: Path | str, *arguments: str, cwd: Path, **environment: str):
    return subprocess.run(
        [ROOT / script, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Checkout:
    """A copy of the files that scripts/venv reads, and a stand-in for Python and pip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "check out"
        shutil.copytree(ROOT / "scripts", self.folder / "scripts")
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.folder)
        self.python = folder / "python"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)
        self.calls = folder / "calls"

    def venv(self, *arguments: str, **environment: str):
        """Run scripts/venv; the commands that Python got are in the second value."""
        self.calls.write_text("")
        script = self.folder / "scripts" / "venv"
        names = {"PYTHON": str(self.python), "CALLS": str(self.calls)}
        done = run(script, *arguments, cwd=self.folder, **(names | environment))
        return done, self.calls.read_text()


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_can_be_run(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/docs", "scripts/test"])
def test_help_and_unknown_options(script, tmp_path):
    helped = run(script, "--help", cwd=tmp_path)
    assert helped.returncode == 0
    assert helped.stdout.startswith(f"Usage: {script}")
    refused = run(script, "--nonsense", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "--nonsense" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("no such folder", "photo.jpg"), "no such folder"), ((".", "gone.jpg"), "gone.jpg")],
)
def test_demo_names_what_is_not_there(arguments, named, tmp_path):
    done = run("scripts/demo", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert named in done.stderr
    assert done.stdout == ""


def test_demo_wants_a_folder_and_a_photo(tmp_path):
    done = run("scripts/demo", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_venv_installs_once(checkout):
    first, calls = checkout.venv("test")
    assert first.returncode == 0, first.stderr
    assert "-m venv --clear" in calls
    assert f"-c {checkout.folder}/constraints.txt -e {checkout.folder}[test]" in calls
    assert first.stdout.count("\n") == 1
    for extra in (["test"], []):
        again, calls = checkout.venv(*extra)
        assert (again.returncode, again.stdout) == (0, "")
        assert "pip install" not in calls


def test_venv_of_the_tests_has_what_the_documentation_needs(checkout):
    first, calls = checkout.venv("docs")
    assert first.returncode == 0, first.stderr
    assert f"-e {checkout.folder}[docs]" in calls
    _, calls = checkout.venv("test")
    assert "pip install" in calls
    again, calls = checkout.venv("docs")
    assert (again.returncode, again.stdout) == (0, "")
    assert "pip install" not in calls


def test_venv_installs_again_when_versions_or_extras_change(checkout):
    checkout.venv()
    _, calls = checkout.venv("test")
    assert "pip install" in calls
    with (checkout.folder / "constraints.txt").open("a") as constraints:
        constraints.write("# another\n")
    _, calls = checkout.venv("test")
    assert "pip install" in calls
    assert "-m venv" not in calls


def test_venv_is_made_anew_in_a_moved_checkout(checkout):
    checkout.venv()
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    _, calls = checkout.venv()
    assert "-m venv --clear" in calls


def test_venv_says_why_it_failed_and_tries_again(checkout):
    failed, _ = checkout.venv(NO_NETWORK="1")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "ERROR: no network" in failed.stderr
    assert "install.log" in failed.stderr
    again, calls = checkout.venv()
    assert again.returncode == 0
    assert "pip install" in calls


def test_venv_killed_while_installing_is_made_anew(checkout):
    killed, _ = checkout.venv(KILLED="1")
    assert killed.returncode != 0
    again, calls = checkout.venv()
    assert again.returncode == 0
    assert "-m venv --clear" in calls
    assert "pip install" in calls


def test_venv_without_a_fitting_python(checkout):
    refused, calls = checkout.venv(TOO_OLD="1")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "3.11" in refused.stderr
    assert "-m venv" not in calls


def test_venv_without_any_python(checkout, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("env", "bash", "dirname", "basename", "sed", "cat"):
        (programs / name).symlink_to(shutil.which(name))
    done, _ = checkout.venv(PYTHON="", PATH=str(programs))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "install" in done.stderr


def test_missing_packages_are_those_whose_check_fails(tmp_path):
    packages = tmp_path / "packages.txt"
    packages.write_text("# a comment\n\nthere    true\naway     false\nunknown  no-such-program\n")
    done = run("scripts/missing-packages", str(packages), cwd=tmp_path)
    assert done.stdout.split() == ["away", "unknown"]


@pytest.mark.parametrize(("user", "installs"), [("0", True), ("1000", False)])
def test_ci_setup_installs_what_is_missing(checkout, tmp_path, user, installs):
    (checkout.folder / "scripts" / "system-packages.txt").write_text("bash true\naway false\n")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "id").write_text(f"#!/usr/bin/env bash\necho {user}\n")
    (programs / "apt-get").write_text('#!/usr/bin/env bash\necho "$*" >>"$CALLS"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    done = run(
        checkout.folder / "scripts" / "ci-setup",
        cwd=tmp_path,
        PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
        CALLS=str(checkout.calls),
    )
    assert done.returncode == (0 if installs else 1)
    if installs:
        assert checkout.calls.read_text().splitlines()[-1].endswith(" away")
    else:
        assert "apt-get install -y away" in done.stderr
        assert not checkout.calls.exists()


def test_nothing_is_missing_here(tmp_path):
    done = run("scripts/ci-setup", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.weights
@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="only in the checkout's own .venv")
def test_demo_on_own_photos(samples, tmp_path):
    photos = tmp_path / "my photos"
    shutil.copytree(samples / "train" / "madonna", photos)
    (tmp_path / "who.jpg").write_bytes(
        next(iter(sorted((samples / "val" / "madonna").iterdir()))).read_bytes()
    )
    done = subprocess.run(
        [ROOT / "scripts" / "demo", "my photos", "who.jpg"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(photos / "madonna_0001.jpg") in done.stdout
    assert f"{ROOT}/.venv/bin/facesearch" in done.stdout
    assert (ROOT / "demo" / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
