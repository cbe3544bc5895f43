"""What a killed process leaves in a file of Milvus Lite is mended before it is used again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from galleries import write_store

from facesearch.addresses import parse_store
from facesearch.gallery import Search
from facesearch.gallery.opening import open_gallery, problems_of
from facesearch.gallery.transfers import TransferOptions
from facesearch.transferring import push

_KILLED = """
import os, pkgutil, signal, sys
from pathlib import Path
from unittest import mock
from facesearch.addresses import parse_store
from facesearch.gallery.transfers import TransferOptions
from facesearch.transferring import push

place, store, engine = sys.argv[1:]
whole = pkgutil.resolve_name(place)

def end(*arguments):
    if "faces_head" in getattr(arguments[0], "wal_dir", ""):
        return whole(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

mock.patch(place, end).start()
push(Path(store), parse_store(engine), TransferOptions())
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    from milvus_lite.server_manager import server_manager_instance

    path = tmp_path / "gallery.db"
    yield path
    server_manager_instance.release_server(str(path))


@pytest.mark.parametrize(
    "place",
    ["milvus_lite.db.save_schema", "milvus_lite.storage.wal.WAL.close_and_delete"],
    ids=["a collection half made", "a log that is in the data"],
)
def test_a_push_that_was_killed_goes_on(place, file, tmp_path) -> None:
    store = write_store(tmp_path / "faces.npz")
    address = parse_store(f"milvus+file:{file}#faces")
    command = [sys.executable, "-c", _KILLED, place, str(store.path), str(address)]
    paths = os.pathsep.join(part for part in sys.path if part)
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, check=False)
    assert killed.returncode == -signal.SIGKILL
    push(store.path, address, TransferOptions())
    assert problems_of(address, deep=False) == []
    row = np.array(store.embeddings(np.arange(1)))
    gallery = open_gallery(address)
    found = gallery.search(row, ["q"], Search(k=500, by="face"))
    ids = [neighbor.id for neighbor in found]
    assert len(ids) == len(set(ids)) > 50
