"""The bill of materials: what it says of models, and when an audit counts; no registry is asked."""

from __future__ import annotations

import dataclasses
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from facesearch.weights import load_manifest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "sbom"


@pytest.fixture
def sbom(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = SourceFileLoader("sbom", str(SCRIPT))
    spec = spec_from_loader("sbom", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_a_model_is_a_component_with_its_pinned_hash(sbom: ModuleType) -> None:
    found = {name: sbom._component(dataclasses.asdict(f)) for name, f in load_manifest().items()}
    assert {component["type"] for component in found.values()} == {"machine-learning-model"}
    pinned = load_manifest()["facenet-128"].sha256
    assert found["facenet-128"]["hashes"] == [{"alg": "SHA-256", "content": pinned}]
    assert [each["alg"] for each in found["vgg16"]["hashes"]] == ["MD5"]
    named = {each["name"] for each in found["facenet-128"]["properties"]}
    assert "facesearch:graph-int8-sha256" in named
    assert not any(each["value"] == "None" for one in found.values() for each in one["properties"])


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 of 1 packages looked up, 0 known"),
        ([{"name": "a", "skip_reason": "not found"}], 3, "audit NOT DONE"),
        (
            [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "no"}],
            3,
            "not looked up: b",
        ),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "V-1", "fix_versions": ["2"]}]}],
            1,
            "a 1: V-1, fixed in 2",
        ),
    ],
)
def test_none_found_counts_only_for_what_was_looked_up(
    sbom: ModuleType, capsys: pytest.CaptureFixture[str], packages, code, said
) -> None:
    assert sbom._tell(packages) == code
    assert said in capsys.readouterr().err


def test_a_database_out_of_reach_is_said(
    sbom: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pip-audit").write_text("#!/bin/sh\necho 'no route to host' >&2\nexit 1\n")
    (tmp_path / "pip-audit").chmod(0o755)
    import sys

    assert sbom._audit(tmp_path, Path(sys.executable)) == 3
    assert "audit NOT DONE: the database cannot be reached" in capsys.readouterr().err
