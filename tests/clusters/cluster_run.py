"""An index run on a cluster, to be killed: ``cluster_run.py HOME ADDRESS``.

Says "committed" when a part of the photos is on the disk, and "done".
"""

from __future__ import annotations

import sys
from pathlib import Path

from facesearch import indexing
from facesearch.indexing import RunState
from photo_library import Library, say


def main() -> None:
    library = Library(Path(sys.argv[1]), processes=True)
    library.seconds = 0.02
    indexing.COMMIT_SECONDS = 0.2
    told: list[RunState] = []

    def tell(state: RunState) -> None:
        if state.done > 30 and not told:
            told.append(state)
            say("committed")

    library.hooks["on_progress"] = tell
    library.index(cluster=sys.argv[2])
    say("done")


if __name__ == "__main__":
    main()
