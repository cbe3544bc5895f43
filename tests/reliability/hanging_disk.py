"""A disk that hangs, and a program that is run beside it.

``hanging_disk.py ANSWERS FOLDER COMMAND...`` mounts it on the folder, in a mount namespace of its
own, and runs the command. ``ANSWERS`` is what it still answers: "nothing", or "stat", then only
what the folder holds is never told.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

_HEAD = struct.Struct("<IIQQIIII")
_GETATTR, _OPENDIR, _INIT, _INTERRUPT = 3, 27, 26, 36
_EINTR = 4
_NO_DEVICES = 2 | 4  # nor programs that run as somebody else
_FOLDER = 0o40700


class HangingDisk:
    """A file system of this very process, spoken to through ``/dev/fuse``."""

    def __init__(self, answers: str, folder: Path) -> None:
        self._answers = answers
        self._device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
        library = ctypes.CDLL(None, use_errno=True)
        names = (b"hanging", os.fsencode(folder), b"fuse", _NO_DEVICES, options.encode())
        if library.mount(*names):
            raise OSError(ctypes.get_errno(), "mount")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            asked = os.read(self._device, 1 << 20)
            _, what, number, *_ = _HEAD.unpack_from(asked)
            if what == _INIT:
                limits = (7, 31, 4096, 0, 9, 9, 4096, 1, 0, 0, 0)
                self._reply(number, struct.pack("<IIIIHHIIHHI", *limits) + bytes(28))
                if self._answers == "nothing":
                    return  # what nobody takes up can be interrupted, as on a network folder
            elif what == _GETATTR:
                owner = (_FOLDER, 2, os.getuid(), os.getgid(), 0, 4096, 0)
                about = struct.pack("<QQQ", 1, 0, 0) + bytes(36) + struct.pack("<7I", *owner)
                self._reply(number, struct.pack("<QII", 1, 0, 0) + about)
            elif what == _OPENDIR:
                self._reply(number, struct.pack("<QII", 1, 0, 0))
            elif what == _INTERRUPT:
                (given_up,) = struct.unpack_from("<Q", asked, _HEAD.size)
                self._reply(given_up, b"", -_EINTR)

    def _reply(self, number: int, body: bytes, error: int = 0) -> None:
        with contextlib.suppress(OSError):
            os.write(self._device, struct.pack("<IiQ", 16 + len(body), error, number) + body)


def main() -> int:
    answers, folder, *command = sys.argv[1:]
    disk = HangingDisk(answers, Path(folder))
    assert disk
    return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main())
