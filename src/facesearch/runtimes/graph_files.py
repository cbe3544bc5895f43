"""The drawn graphs in the cache folder: made once, believed only when their bytes are the right
ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facesearch import weights
from facesearch.errors import FacesearchError, ModelError, UsageError, WeightsError
from facesearch.runtimes.fetching import Fetch
from facesearch.runtimes.graphs import DRAWINGS, drawing_of

_PULLED_WITH = dict.fromkeys(("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"), "facenet-128")
"""Networks that come with another one, for which nobody asks by name."""
VERSION = 1
"""Of the drawings; a graph drawn by another version is drawn again."""


@dataclass(frozen=True, slots=True)
class GraphFile:
    """One network in one precision. ``sha256`` (hex) is that of its bytes, "" while unknown."""

    name: str
    precision: str
    path: Path
    sha256: str


def graph_file(name: str, precision: str) -> GraphFile:
    """Where the graph is, or would be.

    The manifest states the hashes of graphs whose weights it states; for others it is written
    beside the graph when it is drawn, together with that of the weights.

    Raises:
        UsageError: there is no such network, or not in this precision.
    """
    if precision not in drawing_of(name).precisions:
        raise UsageError(f"{name} runs in float32 only; leave out --precision {precision}")
    path = weights.home() / "models" / f"{name}.{precision}.onnx"
    stated = weights.find(name).graphs.get(precision)
    return GraphFile(name, precision, path, stated or _hash_beside(path, name))


def graphs_of(name: str) -> list[GraphFile]:
    """The graphs of a network in all its precisions; none where ONNX Runtime does not run it."""
    if name not in DRAWINGS:
        return []
    return [graph_file(name, precision) for precision in DRAWINGS[name].precisions]


def state_of(graph: GraphFile, *, hashed: bool = False) -> Literal["present", "missing", "damaged"]:
    """Whether the graph is there; without ``hashed`` its bytes are not read.

    A graph that another version drew, or from other weights, is "damaged" too: both are mended by
    drawing it again.

    Raises:
        WeightsError: it is there and cannot be read.
    """
    if not graph.path.is_file():
        return "missing"
    right = is_there(graph) if hashed else bool(graph.sha256)
    return "present" if right else "damaged"


def is_there(graph: GraphFile) -> bool:
    """Whether the graph is there with the right bytes.

    Raises:
        WeightsError: it is there and cannot be read.
    """
    if not graph.sha256 or not graph.path.is_file():
        return False
    with _readable(graph.path):  # hashed once a process while the file stays as it is
        return weights.sha256_file(graph.path) == graph.sha256


def read_graph(name: str, precision: str) -> bytes:
    """The graph, its hash checked.

    Raises:
        UsageError: as ``graph_file``.
        WeightsError: it is missing, damaged or cannot be read; names the command that makes it.
    """
    graph = graph_file(name, precision)
    remedy = f"run: facesearch models pull {_PULLED_WITH.get(name, name)}"
    found = state_of(graph, hashed=True)
    if found == "missing":
        raise WeightsError(f"the network {name} is missing ({graph.path}); {remedy}")
    if found == "damaged":
        raise WeightsError(f"{graph.path}: damaged, or of another version; {remedy}")
    with _readable(graph.path):
        return graph.path.read_bytes()


def draw_missing(names: Sequence[str], fetch: Fetch) -> list[GraphFile]:
    """Draws what is missing or damaged of the networks' graphs, in all precisions.

    Returns:
        Those drawn.

    Raises:
        WeightsError, ModelError: as ``ensure_graph``.
    """
    drawn = [graph for name in names for graph in graphs_of(name) if not is_there(graph)]
    for graph in drawn:
        ensure_graph(graph.name, graph.precision, fetch)
    return drawn


def ensure_graph(name: str, precision: str, fetch: Fetch) -> Path:
    """The graph's file, drawn first where it is missing; the weights are fetched if that needs it.

    Raises:
        UsageError: as ``graph_file``.
        WeightsError: the weights cannot be had, the folder not be written, or other bytes came out
            than the manifest states.
        ModelError: the package that writes graphs cannot be loaded.
    """
    graph = graph_file(name, precision)
    if is_there(graph):
        return graph.path
    weights.ensure(name, offline=fetch.offline, report=fetch.report, progress=fetch.progress)
    with weights.locked(fetch.report):
        if not is_there(graph_file(name, precision)):  # another process may have been faster
            _draw(graph)
    return graph.path


def _draw(graph: GraphFile) -> None:
    try:
        data = drawing_of(graph.name).draw(graph.precision)
    except FacesearchError:
        raise
    except Exception as error:  # its packages clash in many ways while they are imported
        raise ModelError(
            f"{graph.name} cannot be drawn ({type(error).__name__}: {error}); "
            "install what is missing with: pip install --force-reinstall onnx"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    stated = weights.find(graph.name).graphs.get(graph.precision)
    if stated is not None and digest != stated:
        raise WeightsError(
            f"{graph.name} came out as SHA-256 {digest[:12]}..., expected {stated[:12]}...; "
            "take the versions that are known to fit (pip install -c constraints.txt onnx), or use "
            "--runtime tensorflow"
        )
    with weights.writing(graph.path) as out:
        out.write(data)
    if stated is None:
        card = {"sha256": digest, "weights": weights.sha256_of(graph.name), "version": VERSION}
        with weights.writing(_card(graph.path)) as out:
            out.write(json.dumps(card).encode())


def _hash_beside(path: Path, name: str) -> str:
    """What was written when the graph was drawn, if from these weights by this version."""
    try:
        card = json.loads(_card(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    made = (card.get("weights"), card.get("version")) if isinstance(card, dict) else ()
    return str(card["sha256"]) if made == (weights.sha256_of(name), VERSION) else ""


def _card(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror}; check its permissions"
        ) from error
