"""An index run to be killed, slow enough in all its stages to be hit there.

``killed_run.py HOME [--rebuild]`` says "go" when it begins, "reading" when the first faces have
come, and "done".
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from facesearch import indexing
from facesearch.indexing import RunState
from facesearch.sources import FolderSource
from photo_library import Library, say

SECONDS = 0.006


def main() -> None:
    library = Library(Path(sys.argv[1]), processes=True)
    library.seconds = SECONDS
    indexing.COMMIT_SECONDS = 0.05
    sync, probe = os.fsync, FolderSource.probe

    def slow_sync(descriptor: int) -> None:
        time.sleep(SECONDS)
        sync(descriptor)

    def slow_probe(*arguments):  # type: ignore[no-untyped-def]
        time.sleep(SECONDS / 6)
        return probe(*arguments)

    told: list[RunState] = []

    def tell(state: RunState) -> None:
        if state.faces and not told:
            told.append(state)
            say("reading")

    os.fsync = slow_sync  # type: ignore[assignment]
    FolderSource.probe = slow_probe  # type: ignore[method-assign]
    library.hooks["on_progress"] = tell
    say("go")
    library.index(rebuild="--rebuild" in sys.argv)
    say("done")


if __name__ == "__main__":
    main()
