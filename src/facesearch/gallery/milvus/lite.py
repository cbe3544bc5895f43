"""A file of Milvus Lite (in truth a folder), whose server runs in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from facesearch.addresses import EngineAddress
from facesearch.errors import StoreError, StoreMissingError


def start(address: EngineAddress, create: bool) -> str:
    """Where Milvus Lite answers for the file; what a killed process left in it is mended before.

    Raises:
        StoreMissingError: there is no such file, and none shall be made.
        StoreError: it cannot be opened, or Milvus Lite is not installed.
    """
    path = address.file
    assert path is not None
    if not path.exists() and not create:
        raise no_gallery(address)
    if not path.parent.is_dir():
        raise StoreError(f"{address}: its folder does not exist; create it, or choose another")
    try:
        from milvus_lite.server_manager import server_manager_instance
    except ImportError as error:
        raise StoreError(
            f"{address}: needs Milvus Lite; run: pip install milvus-lite (there is none for "
            "Windows: run a server)"
        ) from error
    _mend(path)
    uri = server_manager_instance.start_and_get_uri(str(path))
    if uri is None:
        raise StoreError(
            f"{address}: cannot be opened; another process has it, or it is no file of Milvus Lite"
        )
    return str(uri)


def no_gallery(address: EngineAddress) -> StoreMissingError:
    """What to say where there is none."""
    return StoreMissingError(
        f"{address}: no gallery here; make one with facesearch index or facesearch push"
    )


def _mend(path: Path) -> None:
    """Milvus Lite 3.2 stumbles over two leavings of a process that was killed: the folder of a
    collection that has no schema yet cannot be made again, and a log whose rows are in its data
    files already is read once more, so that each of them counts twice.
    """
    lock = path / "LOCK"
    if not lock.is_file():
        return
    import fcntl

    with lock.open("rb+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # it is open, here or elsewhere, and whoever opened it has mended it
        for folder in path.glob("collections/*/"):
            if not (folder / "schema.json").exists():
                shutil.rmtree(folder)
            for log in _logs_in_data(folder):
                log.unlink()


def _logs_in_data(folder: Path) -> list[Path]:
    """Logs older than the one that was begun when the data files were written."""
    try:
        begun = int(json.loads((folder / "manifest.json").read_bytes())["active_wal_number"])
    except (OSError, ValueError, KeyError, TypeError):
        return []  # nothing was written yet; what is damaged is Milvus Lite's to tell
    numbered = [(log, log.stem.rpartition("_")[2]) for log in folder.glob("wal/wal_*.arrow")]
    return [log for log, number in numbered if number.isdecimal() and int(number) < begun]
