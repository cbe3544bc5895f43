"""What is in the repository and in the wheel, and what must not be."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 1_000_000
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def kept() -> list[Path]:
    """Every file that git holds or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    names = listed.decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    """The versions of constraints.txt by normalised name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in pinned}


def test_no_weights_nor_photo_collections(kept):
    assert not [path for path in kept if path.suffix in {".h5", ".npz", ".lz4", ".onnx", ".pt"}]
    assert not [path for path in kept if path.stat().st_size > LARGEST]
    assert sum(path.suffix.lower() in {".jpg", ".jpeg"} for path in kept) < 50


def test_no_file_names_this_checkout(kept):
    own = f"{ROOT}/".encode()
    assert not [path for path in kept if own in path.read_bytes()]


def test_constraints_are_exact_versions():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in pinned)
    assert len({canonicalize_name(line.partition("==")[0]) for line in pinned}) == len(pinned)


def test_constraints_pin_every_dependency_within_its_range(pins):
    """The extra "gpu" is for NVIDIA's machines and never installed beside these."""
    extras = PROJECT["optional-dependencies"]
    others = [each for name, extra in extras.items() if name != "gpu" for each in extra]
    for requirement in map(Requirement, [*PROJECT["dependencies"], *others]):
        if requirement.name == PROJECT["name"]:
            assert requirement.extras <= set(extras)
            continue
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, requirement
        assert requirement.specifier.contains(version), requirement


def test_wheel_holds_the_package_whole(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(
        ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    package = source / "src"
    expected = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, source],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    (wheel,) = tmp_path.glob("facesearch-*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert expected <= names
    assert {"facesearch/py.typed", "facesearch/weights/manifest.toml"} <= expected
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert all(name.startswith(("facesearch/", "facesearch-")) for name in names)


def test_every_model_has_a_card():
    from facesearch.weights import load_manifest

    cards = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("models/*.md")}
    for name in load_manifest():
        assert any(name == card or name.startswith(f"{card}-") for card in cards), name
    assert "MS-Celeb-1M" in cards["facenet-128"]


def test_pre_commit_configuration_is_valid():
    subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


def test_changelog_knows_the_version_or_calls_it_unreleased():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text or f"## [{PROJECT['version']}]" in text
