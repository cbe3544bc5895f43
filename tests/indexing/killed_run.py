"""An index run to be killed: ``killed_run.py HOME``; slow enough in all its stages to be hit there."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from photo_library import Library

from facesearch import indexing
from facesearch.sources import FolderSource

SECONDS = 0.003


def main() -> None:
    library = Library(Path(sys.argv[1]), processes=True)
    library.seconds = SECONDS
    indexing.COMMIT_SECONDS = 0.05
    sync, probe = os.fsync, FolderSource.probe

    def slow_sync(descriptor: int) -> None:
        time.sleep(SECONDS)
        sync(descriptor)

    def slow_probe(*arguments):  # type: ignore[no-untyped-def]
        time.sleep(SECONDS / 3)
        return probe(*arguments)

    os.fsync = slow_sync  # type: ignore[assignment]
    FolderSource.probe = slow_probe  # type: ignore[method-assign]
    print("go", flush=True)
    library.index()
    print("done", flush=True)


if __name__ == "__main__":
    main()
