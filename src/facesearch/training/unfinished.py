"""The folder of a training that has not ended: what it was asked, and how far it came."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from facesearch import private
from facesearch.errors import FacesearchError, UsageError
from facesearch.runtimes.small_cnn import EpochDone, epochs_done
from facesearch.weights import home
from facesearch.weights.cache import disk_errors, writing


class Unfinished:
    """``NAME.training`` in the models' folder; it is gone when the training has ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = home() / "models" / f"{name}.training"
        self._settings = self.folder / "settings.json"
        self._epochs = self.folder / "epochs.json"

    @property
    def done(self) -> int:
        """How many epochs its checkpoint has seen."""
        return epochs_done(self.folder)

    def size(self) -> int:
        """Bytes that it takes on the disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training the same.

        Raises:
            FacesearchError: one does.
            WeightsError: the folder cannot be written.
        """
        from filelock import FileLock, Timeout

        with disk_errors(self.folder):
            private.make_folder(self.folder.parent)
            name = f".{self.folder.name}.lock"
            lock = FileLock(self.folder.with_name(name), timeout=0, mode=0o600)
            try:
                lock.acquire()
            except Timeout:
                raise FacesearchError(
                    f"{self.folder}: another process trains {self.name}; wait until it is done"
                ) from None
        try:
            yield
        finally:
            lock.release()

    def require_choice(self, resume: bool, restart: bool) -> None:
        """Refuse to guess between going on and starting over.

        Raises:
            UsageError: there is something to go on with and nobody said what to do; or nothing.
        """
        if self.done and not (resume or restart):
            raise UsageError(
                f"{self.folder}: an unfinished training, {self.done} epochs done; go on with "
                "--resume, or start over with --restart"
            )
        if resume and not self._settings.exists():
            raise UsageError(f"{self.folder}: no unfinished training; leave --resume out")

    def open(self, settings: Mapping[str, Any], anew: bool) -> list[EpochDone]:
        """Go on with what is there, or begin.

        Returns:
            The epochs that the checkpoint has seen.

        Raises:
            UsageError: what is there was asked something else; names both.
            WeightsError: it cannot be read or written.
        """
        with disk_errors(self.folder):
            if anew or not self.done:
                self.remove()
                private.make_folder(self.folder)
        if not self._settings.exists():
            self._write(self._settings, dict(settings))
            return []
        self._require_same(settings)
        return [epoch for epoch in self._read_epochs() if epoch.epoch <= self.done]

    def record(self, epochs: list[EpochDone]) -> None:
        """Keep what came of each epoch so far.

        Raises:
            WeightsError: the disk refuses.
        """
        self._write(self._epochs, [asdict(epoch) for epoch in epochs])

    def remove(self) -> None:
        """Forget it."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _require_same(self, settings: Mapping[str, Any]) -> None:
        before = self._read(self._settings)
        other = [
            f"{key} {_shown(before.get(key))}, not {_shown(wanted)}"
            for key, wanted in settings.items()
            if before.get(key) != wanted
        ]
        if other:
            raise UsageError(
                f"{self.folder}: was begun with {', '.join(other)}; go on with the same, or start "
                "over with --restart"
            )

    def _read_epochs(self) -> list[EpochDone]:
        try:
            return [EpochDone(**epoch) for epoch in self._read(self._epochs)]
        except (TypeError, KeyError) as error:
            raise _unreadable(self._epochs, error) from error

    def _read(self, path: Path) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error

    def _write(self, path: Path, data: Any) -> None:
        with writing(path) as stream:
            stream.write((json.dumps(data, indent=2) + "\n").encode())


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path}: cannot be read ({error}); start over with --restart")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value) or "nobody"
    return str(value)[:12]
