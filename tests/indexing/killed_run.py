"""An index run to be killed (``killed_run.py HOME [--rebuild]``), slow enough in all stages to be hit there."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from facesearch import indexing
from facesearch.sources import FolderSource
from photo_library import Library

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
    sys.stdout.write("go\n")
    sys.stdout.flush()
    library.index(rebuild="--rebuild" in sys.argv)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
