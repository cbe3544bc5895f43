"""What works on this machine: packages, networks, weights, folders, the store.

Each check is a function that gives findings, and the next one runs whatever became of it. Heavy
libraries are not imported but asked for by their metadata; ONNX Runtime is loaded, for only so is
known that it loads.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from facesearch import __version__
from facesearch.addresses import EngineAddress, StoreName
from facesearch.errors import FacesearchError, RecipeMismatchError, StoreMissingError
from facesearch.records import Diagnosis, Finding

DEFAULT_NETWORKS = ("facenet-128", "mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet")
"""Those that index and query run unless told otherwise."""
EXTRAS = {
    "gpu": "networks on an NVIDIA GPU",
    "faiss": "sooner answers from large galleries",
    "milvus": "galleries in Milvus",
    "ray": "photos read by a cluster",
    "s3": "photos in S3",
    "gs": "photos in Google Cloud Storage",
    "encrypt": "stores under a passphrase",
    "parquet": "stores exported as Parquet",
    "preview": "faces shown in the terminal",
    "web": "a page and an HTTP interface on this machine",
    "docs": "the documentation as a site",
}
_OLDEST, _NEWEST_TRIED = (3, 11), (3, 13)
_ROOM = 500_000_000  # bytes that the default weights and their graphs take while they are brought
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(\[[^\]]*\])?\s*(?P<bounds>[^;]*)(;(?P<marker>.*))?"
)
_EXTRA = re.compile(r"extra == [\"'](\w+)[\"']")

Check = Callable[[], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that facesearch needs, ``extra`` "" where everybody does."""

    text: str
    name: str
    least: str
    exact: bool
    extra: str

    @property
    def pip_text(self) -> str:
        """As pip takes it in a shell."""
        return f"'{self.text}'" if re.search(r"[\[<>=!~ ]", self.text) else self.text


def diagnose(store: StoreName, given: bool = False) -> Diagnosis:
    """Looks at everything that index and query need; nothing is written, nothing downloaded.

    Args:
        store: which one to look at.
        given: whether somebody named it; only then is it a problem that it is missing.
    """
    checks: dict[str, Check] = {
        "python": _python,
        "packages": lambda: _packages(requirements()),
        "extras": lambda: _extras(requirements()),
        "processor": _processor,
        "networks": _networks,
        "weights": _weights,
        "calibration": _calibration,
        "cache folder": _cache_folder,
        "store": lambda: _store(store, given),
    }
    findings = tuple(found for about, check in checks.items() for found in _run(about, check))
    return Diagnosis(__version__, findings)


def _run(about: str, check: Check) -> list[Finding]:
    """A check's findings; what ends it is one more: a broken installation is what is looked for."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except FacesearchError as error:
        found.append(Finding(about, "problem", str(error)))
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        remedy = "install facesearch again, with -c constraints.txt"
        found.append(Finding(about, "problem", f"cannot be looked at ({reason})", remedy))
    return found


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    text = f"{version}, {platform.system()} {platform.machine()}"
    yield Finding("facesearch", "ok", f"{__version__} in {Path(__file__).parent}")
    if sys.version_info < _OLDEST:
        yield Finding("python", "problem", text, "use Python 3.11 to 3.13")
    elif sys.version_info[:2] > _NEWEST_TRIED:
        yield Finding("python", "warning", f"{text}; not tried", "use Python 3.11 to 3.13")
    elif platform.system() == "Windows":
        yield Finding("python", "warning", f"{text}; Windows is untested")
    else:
        yield Finding("python", "ok", text)


def requirements() -> list[Requirement]:
    """What the installed facesearch says it needs, extras but "test" too; nothing where it is not
    installed.
    """
    try:
        lines = importlib.metadata.requires("facesearch") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [each for each in map(read_requirement, lines) if each.extra in ("", *EXTRAS)]


def read_requirement(line: str) -> Requirement:
    """A line of a package's metadata.

    Raises:
        ValueError: it is none.
    """
    found = _REQUIREMENT.match(line)
    if found is None:
        raise ValueError(f"no requirement: {line}")
    bounds, extra = found["bounds"].strip(), _EXTRA.search(found["marker"] or "")
    least = re.search(r"(>=|==)\s*([\w.]+)", bounds)
    return Requirement(
        line.partition(";")[0].strip(),
        found["name"],
        least[2] if least else "",
        bounds.startswith("=="),
        extra[1] if extra else "",
    )


def _packages(needed: list[Requirement]) -> Iterator[Finding]:
    if not needed:
        yield Finding(
            "packages",
            "warning",
            "facesearch is not installed but run from its folder: what it needs is not known",
            "install it, as the README says",
        )
    right = []
    for requirement in needed:
        if requirement.extra:
            continue
        wrong = _wrong(requirement)
        if wrong is None:
            right.append(f"{requirement.name} {_version(requirement.name)}")
        else:
            remedy = f"pip install {requirement.pip_text}"
            yield Finding("packages", "problem", wrong, remedy)
    if right:
        yield Finding("packages", "ok", ", ".join(right))


def _extras(needed: list[Requirement]) -> Iterator[Finding]:
    known = sorted((each for each in needed if each.extra), key=lambda each: each.extra)
    for extra, group in groupby(known, key=lambda each: each.extra):
        wanted = list(group)
        lacking = [each for each in wanted if _wrong(each) is not None]
        if not lacking:
            have = ", ".join(f"{each.name} {_version(each.name)}" for each in wanted)
            yield Finding(f"extra {extra}", "ok", f"{EXTRAS[extra]}: {have}")
            continue
        command = "pip install " + " ".join(each.pip_text for each in lacking)
        yield Finding(f"extra {extra}", "ok", f"not here ({EXTRAS[extra]}); for it: {command}")


def _wrong(requirement: Requirement) -> str | None:
    """What is wrong with an installed package; None where it is as needed."""
    version = _version(requirement.name)
    if version is None:
        return f"{requirement.name} is not installed"
    if requirement.exact and version != requirement.least:
        return f"{requirement.name} {version} is not {requirement.least}"
    if _numbers(version) < _numbers(requirement.least):
        return f"{requirement.name} {version} is older than {requirement.least}"
    return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """The release as numbers, without the zeros at its end."""
    release = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _processor() -> Iterator[Finding]:
    import psutil

    from facesearch.cores import cores
    from facesearch.index_options import DEFAULT_MODEL, worker_bytes

    memory = psutil.virtual_memory()
    text = (
        f"{cores()} cores, {memory.total / 1e9:.1f} GB of memory, {memory.available / 1e9:.1f} GB "
        "of it free"
    )
    if memory.available < worker_bytes(DEFAULT_MODEL):
        least = worker_bytes(DEFAULT_MODEL) / 1e9
        remedy = f"close other programs: a worker of index may need {least:.1f} GB"
        yield Finding("processor", "warning", text, remedy)
    else:
        yield Finding("processor", "ok", text)


def _networks() -> Iterator[Finding]:
    from facesearch.runtimes import RuntimeOptions
    from facesearch.runtimes.choosing import gpu_trouble, reason_for

    taken, why = reason_for(RuntimeOptions(), DEFAULT_NETWORKS[0])
    yield Finding("networks", "ok", f"{taken}: {why}")
    trouble = gpu_trouble()
    if trouble:
        yield Finding("gpu", "warning", trouble[0], trouble[1])
    elif taken.startswith("CPU"):
        yield Finding("gpu", "ok", "none here; the processor does the work")


def _weights() -> Iterator[Finding]:
    from facesearch import weights

    not_here = []
    for name in weights.names():
        found = list(_run(f"weights {name}", lambda name=name: _network(name)))  # type: ignore[misc]
        if found:
            yield from found
        else:
            not_here.append(name)
    if not_here:
        text = f"not here, and not needed by default: {', '.join(not_here)}"
        yield Finding("weights", "ok", f"{text}; facesearch models pull NAME brings one")


def _network(name: str) -> Iterator[Finding]:
    """The weights of one network and its graphs; nothing where they are neither here nor needed."""
    from facesearch import weights
    from facesearch.runtimes.graph_files import graphs_of, state_of

    about, remedy = f"weights {name}", weights.remedy(name)
    state = weights.verify(name)
    if state.state == "missing":
        if name in DEFAULT_NETWORKS:
            text = f"not here ({state.path}); the first index or query downloads them"
            yield Finding(about, "warning", text, remedy)
        return
    if state.state == "damaged":
        yield Finding(about, "problem", f"damaged: {state.path}", remedy)
        return
    held = weights.kept(name)
    if held is not None and held.untrained_seed is not None:
        text = f"random numbers, not trained: {state.path}"
        yield Finding(about, "warning", text, remedy)
        return
    yield Finding(about, "ok", f"SHA-256 is right: {state.path}")
    for graph in graphs_of(name):
        if state_of(graph, hashed=True) == "damaged":
            pulled = DEFAULT_NETWORKS[0] if name in DEFAULT_NETWORKS else name
            text = f"its {graph.precision} graph is damaged: {graph.path}"
            yield Finding(about, "problem", text, f"facesearch models pull {pulled}")


def _calibration() -> Iterator[Finding]:
    from facesearch.calibration import find_calibration
    from facesearch.index_options import DEFAULT_MODEL, default_recipe

    known = find_calibration(default_recipe(DEFAULT_MODEL).space_digest)
    if known is None:
        text = f"none for {DEFAULT_MODEL}: answers say nothing of false matches"
        yield Finding("calibration", "warning", text, "install facesearch again")
        return
    rate = float(known.false_match_rate(known.counted_from))
    text = f"{DEFAULT_MODEL}: false match rates counted down to {rate:.1e}, a fitted line below"
    yield Finding("calibration", "ok", text)


def _cache_folder() -> Iterator[Finding]:
    from facesearch import weights

    folder = weights.home()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        yield _unusable(folder, f"{there} is no folder")
        return
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        yield _unusable(folder, f"{there} cannot be read and written")
        return
    free = shutil.disk_usage(there).free
    text = f"{folder}{'' if there == folder else ', not made yet'}, {free / 1e9:.1f} GB free"
    if free < _ROOM:
        yield Finding("cache folder", "warning", text, "make room, or set FACESEARCH_HOME")
    else:
        yield Finding("cache folder", "ok", text)
    for inside in (folder, folder / "models", folder / "datasets", folder / "eval"):
        yield from _open_to_others(inside, private=inside.name == "eval")


def _unusable(folder: Path, why: str) -> Finding:
    remedy = "mend its rights, or set FACESEARCH_HOME to another folder"
    return Finding("cache folder", "problem", f"{folder}: {why}", remedy)


def _open_to_others(path: Path, private: bool) -> Iterator[Finding]:
    """Whether others may write a folder or file, or, where it is private, read it."""
    if os.name == "nt" or not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o022 and not mode & stat.S_ISVTX:
        text = f"{path}: others can write to it ({mode:o})"
        yield Finding("rights", "warning", text, f"chmod go-w {shlex.quote(str(path))}")
    if private and mode & 0o044:
        text = f"{path}: others can read it ({mode:o}), and it tells of the people on your photos"
        yield Finding("rights", "warning", text, f"chmod go-rwx {shlex.quote(str(path))}")


def _store(store: StoreName, given: bool) -> Iterator[Finding]:
    from facesearch.gallery.opening import describe

    try:
        held = describe(store)
    except StoreMissingError as error:
        if given:
            remedy = f"facesearch index FOLDER {_option(store)}"
            yield Finding("store", "problem", str(error), remedy)
        else:
            text = f"{store}: none here; facesearch index FOLDER makes one"
            yield Finding("store", "ok", text)
        return
    except FacesearchError as error:
        # Where nothing can be repaired, the error says what else to do.
        repairable = "facesearch repair" in str(error)
        repair = f"facesearch repair {_option(store)}" if repairable else ""
        yield Finding("store", "problem", _named(store, error), repair)
        return
    coverage = held.coverage
    text = (
        f"{store}: format {held.version}, recipe {held.recipe.name}, {coverage.faces:,} faces in "
        f"{coverage.photos:,} photos, {coverage.failed:,} failed"
    )
    yield Finding("store", "ok", text)
    yield from _space(store)
    if coverage.progress is not None and not coverage.progress.running:
        done, total = coverage.progress.done, coverage.progress.total
        text = f"{store}: an index run stopped at {done:,} of {total:,} photos"
        yield Finding("store", "warning", text, f"facesearch index {_option(store)}")
    for root in held.roots:
        if not root.there:
            text = f"{root.path}: away, with {root.photos:,} photos"
            old = shlex.quote(str(root.path))
            remedy = f"connect it, or facesearch roots move {old} NEW {_option(store)}"
            yield Finding("store", "warning", text, remedy)
    if not isinstance(store, EngineAddress):
        yield from _open_to_others(Path(store), private=True)


def _option(store: StoreName) -> str:
    """The store as a command takes it, whatever the current folder and the environment are."""
    return f"--store {shlex.quote(str(store))}"


def _space(store: StoreName) -> Iterator[Finding]:
    from facesearch.gallery.opening import open_gallery
    from facesearch.querying import check_space

    try:
        check_space(open_gallery(store))
    except RecipeMismatchError as error:
        yield Finding("store", "problem", _named(store, error))


def _named(store: StoreName, error: FacesearchError) -> str:
    return str(error) if str(store) in str(error) else f"{store}: {error}"
