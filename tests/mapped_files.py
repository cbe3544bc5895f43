"""A system that, like Windows, refuses to replace or remove a file that somebody has mapped."""

import errno
import functools
import os
from pathlib import Path

import pytest


class Windows:
    """Commits with numbered heads, and no file that this process or one of ``others`` has mapped
    can be replaced, renamed or removed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.others: list[int] = []
        self.refused = 0
        monkeypatch.setattr("facesearch.store.layout.NUMBERED_HEADS", True)
        for name in ("replace", "unlink"):
            monkeypatch.setattr(os, name, self._guarded(getattr(os, name)))

    def _guarded(self, function):
        @functools.wraps(function)
        def call(*paths, **kwargs):
            mapped = self._mapped()
            there = [Path(path) for path in paths if Path(path).exists()]
            if any(path.stat().st_ino in mapped for path in there):
                self.refused += 1
                raise PermissionError(errno.EACCES, "in use", str(paths[0]))
            return function(*paths, **kwargs)

        return call

    def _mapped(self) -> set[int]:
        inodes = set()
        for process in ("self", *self.others):
            for line in Path(f"/proc/{process}/maps").read_text().splitlines():
                inodes.add(int(line.split()[4]))
        return inodes - {0}
