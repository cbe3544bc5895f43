"""A program of its own, ``leftovers.py FOLDER``: when the process that started it is gone, in
whatever way, it ends what is left of a private Ray and removes its folder.

Some of Ray's processes outlive the others by minutes. All of them keep a log in the folder open.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_PREFIX = "facesearch-ray-"
_LONGEST = 8  # sockets have names of 95 more, and a system's limit is 103


def new_folder() -> Path:
    """A folder for a private Ray, where names of sockets are not too long."""
    parent = Path(tempfile.gettempdir())
    if len(os.fspath(parent)) > _LONGEST and os.name == "posix":
        parent = Path("/tmp")
    _sweep(parent)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def _sweep(parent: Path) -> None:
    """Removes what runs that were killed have left."""
    import psutil

    for folder in parent.glob(f"{_PREFIX}*-*"):
        number = folder.name.removeprefix(_PREFIX).split("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def watch(folder: Path) -> Any:
    """Starts it for the Ray that this process is about to start; it lives as long as this process.

    The answer has to be kept, for it holds the pipe whose end says that this process is gone.
    """
    return subprocess.Popen(
        [sys.executable, __file__, os.fspath(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )


def main() -> None:
    """Waits for the end of standard input."""
    sys.stdin.buffer.read()
    end_all(sys.argv[1])
    shutil.rmtree(sys.argv[1], ignore_errors=True)


def end_all(folder: str) -> None:
    """Kills every process that has a file of the folder open."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if any(file.path.startswith(folder + os.sep) for file in process.open_files()):
                process.kill()
                found.append(process)
        except (psutil.Error, OSError):
            continue
    psutil.wait_procs(found, timeout=5)


if __name__ == "__main__":
    main()
