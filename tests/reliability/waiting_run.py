"""An index run that says how it came out, in a line of JSON; to be run beside a disk that hangs.

``waiting_run.py HOME SECONDS [FOLDER]...`` says "go" and its number when it begins.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

from facesearch.errors import FacesearchError
from photo_library import Library, say


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell began it so
    home, seconds, *folders = sys.argv[1:]
    library = Library(Path(home) / "beside")
    library.path = Path(home) / "faces.npz"
    say("go")
    started = time.monotonic()
    found: dict[str, object] = {}
    try:
        summary = library.run([Path(each) for each in folders], item_timeout=float(seconds))
        found["away"] = [[away.root, away.why, away.kept] for away in summary.roots_away]
        found["failed"] = [[each.path, each.reason] for each in summary.failures]
        found["seen"], found["removed"] = summary.seen, summary.removed
    except FacesearchError as error:
        found["error"] = str(error)
    say(json.dumps({**found, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main()
