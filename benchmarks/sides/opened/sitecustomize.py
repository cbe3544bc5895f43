"""Python runs this at start where its folder is on PYTHONPATH: it notes which files are opened.

Each is written down at once, for a worker process may end without a word.
"""

import os
import sys

_BELOW = os.environ.get("BENCHMARK_OPENED_BELOW")
_LOG = os.environ.get("BENCHMARK_OPENED_LOG")


def _note(event, arguments):
    if event != "open" or not isinstance(arguments[0], (str, bytes)):
        return
    path = os.fsdecode(arguments[0])
    if path.startswith(_BELOW + os.sep) and os.path.isfile(path):  # noqa: PTH113
        own = os.path.join(_LOG, str(os.getpid()))
        with open(own, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"{path}\n")


if _BELOW and _LOG:
    sys.addaudithook(_note)
