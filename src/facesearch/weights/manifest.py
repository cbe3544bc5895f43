"""The manifest: which files of weights exist, where they come from, which bytes are trusted."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from facesearch.errors import UsageError, WeightsError

Kind = Literal["sdist", "release", "wheel", "keras", "trained"]
KEPT: tuple[Kind, ...] = ("keras", "trained")
"""Kinds whose SHA-256 is known only once the file is here; see ``kept``."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of weights.

    ``source`` is the archive's file name (sdist), the release's key (release), the installed
    package (wheel), Keras's own function (keras) or the command that makes it (trained);
    ``member`` is the path inside it, or the file's name. ``size`` is in bytes, None where the
    source does not state it. ``sha256`` is in hex, empty where ``kept`` knows it. ``dim`` is the
    length of an embedding, None for a detector's network. ``url`` is set for a release alone,
    ``md5``, which is what Keras states, for kind "keras". ``graphs`` are the SHA-256 (hex) of the
    graphs drawn from these weights, by precision.
    """

    name: str
    kind: Kind
    source: str
    member: str
    licence: str
    sha256: str = ""
    size: int | None = None
    dim: int | None = None
    url: str | None = None
    md5: str | None = None
    graphs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Archive:
    """A source archive on the package index: ``file`` of ``project``, ``size`` bytes.

    ``samples`` is the folder inside it that holds the sample photos.
    """

    file: str
    project: str
    size: int
    sha256: str
    samples: str


def load_manifest() -> dict[str, WeightFile]:
    """All weights by name, in the manifest's order.

    Raises:
        WeightsError: keras-facenet, which states facts about its own release, is not installed.
    """
    return {name: _weight_file(name, entry) for name, entry in _manifest()["models"].items()}


def names() -> list[str]:
    """The names of all weights, in the manifest's order; no other package is asked."""
    return list(_manifest()["models"])


def load_archives() -> dict[str, Archive]:
    """All source archives by file name."""
    return {file: Archive(file, **entry) for file, entry in _manifest()["archives"].items()}


def find(name: str) -> WeightFile:
    """The manifest's entry for ``name``.

    Raises:
        UsageError: there is none of that name.
    """
    entries = _manifest()["models"]
    if name not in entries:
        raise UsageError(f"no model is named {name!r}; there are {', '.join(entries)}")
    return _weight_file(name, entries[name])


def package_folder(package: str) -> Path:
    """The folder of an installed package, found without importing it (and so TensorFlow).

    Raises:
        WeightsError: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        project = package.replace("_", "-")
        raise WeightsError(f"the package {project} is not installed; run: pip install {project}")
    return Path(spec.submodule_search_locations[0])


def _manifest() -> dict[str, dict[str, Any]]:
    return _parsed(_manifest_text())


@lru_cache(maxsize=1)
def _parsed(text: str) -> dict[str, dict[str, Any]]:
    """Parsed once, however many entries are asked for; nobody changes what it gives."""
    return tomllib.loads(text)


def _manifest_text() -> str:
    return Path(__file__).with_name("manifest.toml").read_text(encoding="utf-8")


def _weight_file(name: str, entry: dict[str, Any]) -> WeightFile:
    facts = _release_facts(entry["source"]) if entry["kind"] == "release" else {}
    return WeightFile(**{"name": name, **entry, **facts})


def _release_facts(key: str) -> dict[str, str]:
    """URL, file name and hash out of keras-facenet's metadata.py, parsed and not run."""
    import ast

    path = package_folder("keras_facenet") / "metadata.py"
    try:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODEL_METADATA":
                release = ast.literal_eval(node.value)[key]
                return {
                    "member": release["keras_weights_filename"],
                    "sha256": release["keras_weights_sha256"],
                    "url": release["keras_weights_url"],
                }
    except (OSError, SyntaxError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path}: release {key} cannot be read ({error!r}); "
            "run: pip install --force-reinstall keras-facenet"
        ) from error
    raise WeightsError(
        f"{path}: holds no MODEL_METADATA; run: pip install --force-reinstall keras-facenet"
    )
