"""Sets up facesearch from the bundle that this file lies in; the network is never used.

Called by ``set-up`` with the right Python. Needs nothing but Python's standard library.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NoReturn

BUNDLE_FILE = "bundle.json"
SUMS_FILE = "SHA256SUMS"
STATE_FILE = "facesearch-bundle.txt"
UNFINISHED = "unfinished"
MADE_HERE = ("bin", "include", "lib", "lib64", "share", "pyvenv.cfg", "install.log")
"""What ``python -m venv`` and pip make in the folder: all that a second run may remove."""


class SetUpError(Exception):
    """What a person has to know, in one line."""


class OneLineParser(argparse.ArgumentParser):
    """Tells a wrong call in one line, as every script of the project does."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}; --help shows how it is called\n")
        sys.exit(2)


def this_machine() -> dict[str, str]:
    """What decides whether built wheels run here: Python, its ABI, the system, its C library."""
    libc, version = platform.libc_ver()
    return {
        "python": "{}.{}".format(*sys.version_info[:2]),
        "abi": str(sysconfig.get_config_var("SOABI")),
        "system": sys.platform,
        "machine": platform.machine(),
        "glibc": version if libc == "glibc" else "",
    }


def read_about(bundle: Path) -> dict[str, Any]:
    """bundle.json: what the bundle holds and which machine it is for.

    Raises:
        SetUpError: it is missing or damaged.
    """
    path = bundle / BUNDLE_FILE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError) as error:
        raise SetUpError(f"{path} is missing or damaged; copy the whole bundle again") from error


def check_machine(wanted: dict[str, str], here: dict[str, str]) -> None:
    """Refuse a machine that the bundle was not made for; a newer glibc is as good.

    Raises:
        SetUpError: names what the bundle is for and what is here.
    """
    for key, what in (
        ("system", "the system {}"),
        ("machine", "the processor {}"),
        ("python", "Python {}"),
        ("abi", "a Python with the ABI {}"),
    ):
        if wanted[key] != here[key]:
            raise SetUpError(
                f"this bundle is for {what.format(wanted[key])}, and here is {here[key]}; "
                "make one on a machine like this with scripts/bundle"
            )
    if wanted["glibc"] and _numbers(here["glibc"]) < _numbers(wanted["glibc"]):
        raise SetUpError(
            f"this bundle needs glibc {wanted['glibc']} or newer, and here is "
            f"{here['glibc'] or 'none'}; set it up on a newer system"
        )


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hash_stream(stream)


def hash_stream(stream: Any) -> str:
    """SHA-256 (hex) of what is left to read."""
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def read_sums(bundle: Path) -> dict[str, str]:
    """The SHA-256 of every file of the bundle by its path below it.

    Raises:
        SetUpError: there is no list of sums, or a line of it is not as ``sha256sum`` writes it.
    """
    path = bundle / SUMS_FILE
    if not path.is_file():
        raise SetUpError(f"{path} is missing; copy the whole bundle again")
    sums = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"([0-9a-f]{64})  (\S.*)", line)
        if not match:
            raise SetUpError(f"{path} is damaged; copy the whole bundle again")
        sums[match[2]] = match[1]
    return sums


def check_sums(bundle: Path) -> dict[str, str]:
    """``read_sums``, once every file has been found right.

    Raises:
        SetUpError: names the first file that is missing or has other bytes.
    """
    sums = read_sums(bundle)
    for name, digest in sums.items():
        path = bundle / name
        if not path.is_file():
            raise SetUpError(f"{path} is missing; copy the whole bundle again")
        if sha256(path) != digest:
            raise SetUpError(f"{path} is damaged (its SHA-256 is wrong); copy the bundle again")
    return sums


def check_space(folder: Path, needed: int) -> None:
    """Refuse where fewer than ``needed`` bytes are free on the disk that ``folder`` is to be on.

    Raises:
        SetUpError: names the folder and both figures.
    """
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < needed:
        raise SetUpError(
            f"{folder}: {needed / 1e9:.2f} GB are needed and {free / 1e9:.2f} GB are free; "
            "make room or choose another disk"
        )


def state_of(folder: Path) -> str:
    """The bundle (its sums' SHA-256 and its place) in ``folder``, UNFINISHED, or "" for nothing.

    Raises:
        SetUpError: something else is there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return ""
    mark = folder / STATE_FILE
    if not mark.is_file():
        raise SetUpError(f"{folder} is not empty; name a folder that is new or empty")
    return mark.read_text(encoding="utf-8").strip()


def install(bundle: Path, folder: Path, wheels: list[str]) -> None:
    """A virtual environment in ``folder`` with the bundle's wheels and nothing else.

    Raises:
        SetUpError: Python cannot make one, or pip refuses; names the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STATE_FILE).write_text(f"{UNFINISHED}\n", encoding="utf-8")
    for name in MADE_HERE:
        _remove(folder / name)
    log = folder / "install.log"
    if not _run([sys.executable, "-m", "venv", str(folder)], log):
        raise SetUpError(
            f"{sys.executable} cannot make a virtual environment ({_reason(log)}); on Debian and "
            f"Ubuntu install python3-venv; all of it is in {log}"
        )
    # --no-deps: the bundle holds exactly what was installed and checked where it was made.
    pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "--isolated", "install", "--no-index"]
    options = ["--no-deps", "--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    if not _run([*pip, *options, *(str(bundle / name) for name in wheels)], log):
        raise SetUpError(f"pip failed: {_reason(log)}; all of it is in {log}")


def place_models(bundle: Path, home: Path, sums: dict[str, str]) -> int:
    """Copy what the bundle holds for the cache folder; how many files were not there already.

    A file that is right stays as it is; each comes whole or not at all.

    Raises:
        SetUpError: too little space.
    """
    held = {Path(name).relative_to("home"): digest for name, digest in sums.items()
            if name.startswith("home/")}  # fmt: skip
    wanted = {
        name: digest
        for name, digest in held.items()
        if not (home / name).is_file() or sha256(home / name) != digest
    }
    check_space(home, sum((bundle / "home" / name).stat().st_size for name in wanted))
    for name in wanted:
        target = home / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # A leading dot and this ending: facesearch removes such leftovers of killed runs itself.
        partial = target.with_name(f".{target.name}.set-up.part")
        try:
            shutil.copyfile(bundle / "home" / name, partial)
            partial.replace(target)
        finally:
            _remove(partial)
    return len(wanted)


def set_up(bundle: Path, folder: Path) -> None:
    """Everything from the checks to the two commands that come next.

    Raises:
        SetUpError: one line for a person.
    """
    about = read_about(bundle)
    check_machine(about["machine"], this_machine())
    state = state_of(folder)
    print("Checking the files of the bundle", flush=True)
    sums = check_sums(bundle)
    # With its place, because programs in a virtual environment name their folder.
    own = f"{sha256(bundle / SUMS_FILE)} {folder}"
    if state == own:
        print(f"facesearch {about['facesearch']} is in {folder} already")
    else:
        check_space(folder, about["installed_bytes"])
        print(f"Installing into {folder}: a minute or two", flush=True)
        install(bundle, folder, [name for name in sums if name.startswith("wheels/")])
        (folder / STATE_FILE).write_text(f"{own}\n", encoding="utf-8")
    home = cache_folder(folder)
    placed = place_models(bundle, home, sums)
    print(f"Models: {home} ({f'{placed} files placed' if placed else 'all there already'})")
    program = shlex.quote(str(folder / "bin" / "facesearch"))
    kept = os.environ.get("FACESEARCH_HOME")
    print("\nNext, with your own photos:")
    if kept:
        print(f"  export FACESEARCH_HOME={shlex.quote(str(home))}")
    print(f"  {program} index FOLDER\n  {program} query PHOTO -k 25")


def cache_folder(folder: Path) -> Path:
    """Where the installed program looks for its models."""
    code = "from facesearch.weights import home; print(home())"
    command = [str(folder / "bin" / "python"), "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SetUpError(f"{folder} does not work ({last}); remove it and run set-up again")
    return Path(done.stdout.strip())


def _run(command: list[str], log: Path) -> bool:
    """Whether it succeeded; nobody's pip settings count, and what it says goes to ``log``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    clean.pop("PYTHONPATH", None)
    clean["PIP_CONFIG_FILE"] = os.devnull
    with log.open("a", encoding="utf-8") as out:
        done = subprocess.run(
            command,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode == 0


def _reason(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines[-1:] or ["no reason given"])[0]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def in_words(error: OSError) -> str:
    """An error of the operating system as one line with its path."""
    where = f"{error.filename}: " if error.filename else ""
    hint = "; make room or choose another disk" if error.errno == errno.ENOSPC else ""
    return f"{where}{error.strerror or error}{hint}"


def main() -> int:
    """Exit code: 0 done, 1 refused or failed, 2 called wrongly, 130 interrupted."""
    parser = OneLineParser(
        prog="set-up",
        description="Sets up facesearch from this bundle in FOLDER, a new virtual environment, and "
        "its models in FACESEARCH_HOME or else the platform's cache folder. Uses no network.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    folder = parser.parse_args().folder.expanduser().absolute()
    try:
        set_up(Path(__file__).resolve().parent, folder)
    except SetUpError as error:
        sys.stderr.write(f"set-up: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"set-up: {in_words(error)}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("set-up: interrupted; run it again\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
