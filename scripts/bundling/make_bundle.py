"""Makes the bundle; ``scripts/bundle --help`` says how it is called."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from set_up import (
    BUNDLE_FILE,
    SUMS_FILE,
    OneLineParser,
    SetUpError,
    in_words,
    sha256,
    this_machine,
)

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("src", "pyproject.toml", "README.md", "LICENSE")
PIP = ("--disable-pip-version-check", "--no-input", "--progress-bar=off")
MARK = "unfinished-bundle.txt"
LEFT_OUT = re.compile(r'^ *"(?:tensorflow|keras)(?![\w.-])[^"\n]*",\n', re.MULTILINE)
"""Lines of pyproject.toml's dependencies that a bundle without TensorFlow does without."""
OLD_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
README = """\
facesearch {version} for machines without a network

{contents}

For Python {python} on {system} ({machine}). On such a machine:

    sh set-up FOLDER

It checks every file, makes a virtual environment in FOLDER (about {installed:.1f} GB), puts the
models into FACESEARCH_HOME or else your cache folder, and says which commands come next. It never
uses the network. Run it again whenever you like: what is right stays as it is.

To try it with the sample photos that are in here:

    FOLDER/bin/facesearch datasets pull samples --to samples
    FOLDER/bin/facesearch index samples/train
    FOLDER/bin/facesearch query samples/val/elton_john/elton_john_0018.jpg -k 3

    set-up, set_up.py   the set-up and what it runs
    wheels/             facesearch and everything that it needs
    home/               the models and the sample photos
    bundle.json         what this bundle was made for
    SHA256SUMS          every file's sum: sha256sum -c SHA256SUMS (macOS: shasum -a 256 -c)
"""


def make(target: Path, *, tensorflow: bool) -> None:
    """The whole bundle in ``target``, which appears at the very end or not at all.

    Raises:
        SetUpError: one line for a person.
    """
    check_target(target)
    workshop = claim_workshop(target)
    try:
        bundle = workshop / "bundle"
        bundle.mkdir()
        fill(bundle, workshop, tensorflow=tensorflow)
        # Last, so that nothing unfinished ever passes for a bundle.
        write_sums(bundle)
        bundle.rename(target)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def check_target(target: Path) -> None:
    """Refuse a target that holds something.

    Raises:
        SetUpError: it is no folder or not an empty one.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise SetUpError(f"{target} is not a folder; name one that is new or empty")
    if target.is_dir() and any(target.iterdir()):
        raise SetUpError(f"{target} is not empty; remove it or name a folder that is new or empty")


def claim_workshop(target: Path) -> Path:
    """An empty folder beside ``target`` to build in; what a killed run left there is removed.

    Raises:
        SetUpError: something else has its name.
    """
    workshop = target.with_name(f"{target.name}.unfinished")
    if workshop.exists():
        if not (workshop / MARK).is_file():
            raise SetUpError(f"{workshop} is in the way; move it elsewhere")
        shutil.rmtree(workshop)
    workshop.mkdir(parents=True)
    (workshop / MARK).write_text("scripts/bundle removes this folder.\n", encoding="utf-8")
    return workshop


def fill(bundle: Path, workshop: Path, *, tensorflow: bool) -> None:
    """Wheels, models, samples and the set-up; the models are pulled by those very wheels.

    Raises:
        SetUpError: pip, or the program that it installed, failed.
    """
    log = workshop.with_suffix(".log")
    log.unlink(missing_ok=True)
    source = copy_source(workshop / "source", tensorflow=tensorflow)
    run([sys.executable, "-m", "venv", workshop / "venv"], log)
    python = workshop / "venv" / "bin" / "python"
    size = 750 if tensorflow else 200
    print(f"Wheels: some minutes, and the first time about {size} MB to download", flush=True)
    collect_wheels(python, source, bundle / "wheels", log)
    print("Models and sample photos (90 MB to download)", flush=True)
    pull_models(python, bundle / "home", log)
    describe(bundle, bytes_in(workshop / "venv"), tensorflow=tensorflow)
    log.unlink()


def collect_wheels(python: Path, source: Path, wheels: Path, log: Path) -> None:
    """Every wheel that ``source`` needs; they are installed for ``python`` to see that all came."""
    pip: list[str | Path] = [python, "-I", "-m", "pip"]
    constraints = ("-c", ROOT / "constraints.txt")
    run([*pip, "wheel", *PIP, *constraints, "-w", wheels, source], log)
    run([*pip, "install", *PIP, "--no-index", "--no-deps", *sorted(wheels.iterdir())], log)
    run([*pip, "check", "--disable-pip-version-check"], log)


def pull_models(python: Path, home: Path, log: Path) -> None:
    """What pulling the models leaves in an empty cache folder, and the sample photos."""
    facesearch: list[str | Path] = [python, "-I", "-m", "facesearch"]
    named = {"FACESEARCH_HOME": str(home)}
    run([*facesearch, "models", "pull"], log, named)
    samples = python.parents[2] / "samples"
    run([*facesearch, "datasets", "pull", "samples", "--to", samples], log, named)
    for leftover in [path for path in home.rglob(".*") if path.is_file()]:
        leftover.unlink()  # Locks and partial files, which belong to the run that made them.


def copy_source(folder: Path, *, tensorflow: bool) -> Path:
    """What a wheel is built from, apart from the checkout, where old builds may lie about."""
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            unwanted = shutil.ignore_patterns("*.egg-info", "__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
        else:
            shutil.copy(ROOT / name, folder)
    if not tensorflow:
        project = folder / "pyproject.toml"
        text = without_tensorflow(project.read_text(encoding="utf-8"))
        project.write_text(text, encoding="utf-8")
    return folder


def without_tensorflow(project: str) -> str:
    """pyproject.toml with no TensorFlow among the dependencies; pip then leaves out what it needs.

    So the wheel says truly what it was bundled for, and no second list of packages can grow old.

    Raises:
        SetUpError: TensorFlow is no dependency.
    """
    head, opening, rest = project.partition("\ndependencies = [\n")
    listed, closing, tail = rest.partition("]\n")
    shorter, count = LEFT_OUT.subn("", listed)
    if not count:
        raise SetUpError("pyproject.toml asks for no TensorFlow; leave out --without-tensorflow")
    return head + opening + shorter + closing + tail


def describe(bundle: Path, installed_bytes: int, *, tensorflow: bool) -> None:
    """README.txt, bundle.json and the set-up itself."""
    names = sorted(path.name for path in (bundle / "wheels").iterdir())
    version = next(name.split("-")[1] for name in names if name.startswith("facesearch-"))
    machine = this_machine()
    if machine["glibc"]:
        machine["glibc"] = glibc_needed(names, machine["glibc"])
    about = {
        "schema": 1,
        "facesearch": version,
        "tensorflow": tensorflow,
        "machine": machine,
        "installed_bytes": installed_bytes,
    }
    (bundle / BUNDLE_FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    contents = "With TensorFlow." if tensorflow else (
        "Without TensorFlow: the default networks run on ONNX Runtime; `--runtime tensorflow`, the "
        "systems of the course reports and `train` need the other bundle."
    )  # fmt: skip
    text = README.format(
        version=version,
        contents=textwrap.fill(contents, 100),
        installed=installed_bytes / 1e9,
        **machine,
    )
    (bundle / "README.txt").write_text(text, encoding="utf-8")
    for name in ("set-up", "set_up.py"):
        shutil.copy(Path(__file__).parent / name, bundle)


def glibc_needed(wheels: Iterable[str], own: str) -> str:
    """The oldest glibc that all wheels run on, by their names; ``own`` for one that was built here.

    >>> glibc_needed(["a-1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"], "2.36")
    '2.27'
    """
    needed = (2, 5)
    for name in wheels:
        tags = name.removesuffix(".whl").rsplit("-", 1)[-1]
        stated = [(int(a), int(b)) for a, b in re.findall(r"manylinux_(\d+)_(\d+)_", tags)]
        stated += [OLD_TAGS[tag] for tag in OLD_TAGS if f"{tag}_" in tags]
        if not stated and "linux_" in tags:
            return own
        needed = max(needed, min(stated, default=needed))
    return "{}.{}".format(*needed)


def write_sums(bundle: Path) -> None:
    """SHA256SUMS over every other file, as ``sha256sum`` writes and checks it."""
    paths = sorted(path for path in bundle.rglob("*") if path.is_file())
    lines = [f"{sha256(path)}  {path.relative_to(bundle).as_posix()}\n" for path in paths]
    (bundle / SUMS_FILE).write_text("".join(lines), encoding="utf-8")


def bytes_in(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def run(command: list[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run it with what it says in ``log``.

    Raises:
        SetUpError: it failed; its first error line and the log's place.
    """
    start = log.stat().st_size if log.exists() else 0
    with log.open("a", encoding="utf-8") as out:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=log.parent,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        said = log.read_bytes()[start:].decode("utf-8", "replace").strip().splitlines()
        errors = [line.strip() for line in said if line.lstrip().startswith("ERROR")]
        reason = (errors or said[-1:] or ["no reason given"])[0]
        words = [Path(word).name for word in map(str, command[1:]) if not word.startswith("-")]
        what = " ".join(words[:2])
        raise SetUpError(f"{what} failed: {reason}; all of it is in {log}")


def main() -> int:
    """Exit code: 0 done, 1 refused or failed, 2 called wrongly, 130 interrupted."""
    parser = OneLineParser(
        prog="bundle",
        usage="scripts/bundle [--without-tensorflow] FOLDER",
        description="Makes FOLDER: the wheels of facesearch and of all that it needs, its models, "
        "the sample photos, their checksums and a set-up, for machines without a network that have "
        "the same Python, system and processor as this one.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument(
        "--without-tensorflow",
        action="store_true",
        help="about a third of the size; enough for index and query, which run on ONNX Runtime",
    )
    asked = parser.parse_args()
    target = asked.folder.expanduser().absolute()
    # A run that is told to end cleans up after itself, as an interrupted one does.
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(130))
    try:
        make(target, tensorflow=not asked.without_tensorflow)
    except SetUpError as error:
        sys.stderr.write(f"bundle: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"bundle: {in_words(error)}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("bundle: interrupted; nothing is left\n")
        return 130
    print(f"{target}: {bytes_in(target) / 1e6:.0f} MB\nOn the other machine:")
    print(f"  sh {shlex.quote(target.name)}/set-up FOLDER")
    return 0


if __name__ == "__main__":
    sys.exit(main())
