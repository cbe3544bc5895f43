"""Networks that are none: faces and embeddings follow from a file's bytes, in no time.

A "photo" is the first bytes of a JPEG and a text. Words in the text make something happen when it
is read; its processes import all this from here.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesearch.errors import DeviceError, ModelError, PhotoError
from facesearch.photos import photo_error, read_bytes, sniff
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.records import Box, Face, Failure, PhotoFacts, PhotoResult

START = b"\xff\xd8\xff"
"""What makes a file a photo."""


@dataclass(frozen=True)
class FakeNetworks:
    """What runs in a worker; also the factory of itself.

    ``log``: a file to which the path of every photo that is embedded is added. ``switch``: while
    this file exists, photos with the word "flaky" give a passing error, "mortal" ones
    end the process. ``seconds`` are spent on each photo. ``refuses``: it cannot be set up.
    """

    spec: ProcessSpec
    log: str = ""
    switch: str = ""
    seconds: float = 0.0
    refuses: bool = False

    def __call__(self) -> FakeNetworks:
        if self.refuses:
            raise DeviceError("--device gpu: there is none here; leave the option out")
        return self

    def describe(self) -> str:
        return "no network"

    def process(self, batch: Sequence[PhotoTask]) -> list[PhotoResult]:
        return [self._result(task) for task in batch]

    def _result(self, task: PhotoTask) -> PhotoResult:
        content = b""
        try:
            if self.log:
                with Path(self.log).open("a") as log:
                    log.write(json.dumps(task.path) + "\n")
            time.sleep(self.seconds)
            file = read_bytes(task.path)
            content = file.content_hash
            self._do_harm(task.path, file.data)
        except PhotoError as error:
            if error.reason == "empty":
                content = hashlib.sha256(b"").digest()
            return self._failed(task, content, error.reason, error)
        except ModelError as error:
            return self._failed(task, content, "model-error", error)
        facts = PhotoFacts(content, content[:16], 640, 480, 1.0, format="JPEG")
        if self.spec.recipe.subject == "photo":
            return PhotoResult(content, facts, (Face(None, (), 1.0),), self._rows(1, content))
        count = content[0] % 3
        faces = tuple(
            Face(Box(*(float(value) for value in content[face : face + 4])), (), 0.9, 5.0)
            for face in range(count)
        )
        return PhotoResult(content, facts, faces, self._rows(count, content))

    def _do_harm(self, path: str, data: bytes) -> None:
        words = data.removeprefix(START).split()
        if sniff(data) is None:
            raise photo_error("not-a-photo", path)
        if b"broken" in words:
            raise photo_error("truncated", path)
        if b"large" in words and int(words[-1]) > self.spec.max_pixels:
            raise photo_error("too-large", path)
        if b"flaky" in words and Path(self.switch).exists():
            raise photo_error("io-error", path)
        if b"senseless" in words:
            raise ModelError("the network gave an embedding without a direction")
        if b"deadly" in words:
            os._exit(9)
        if b"mortal" in words and Path(self.switch).exists():
            os.kill(os.getpid(), signal.SIGSEGV)
        if b"signal" in words:
            os.kill(os.getpid(), int(words[-1]))
        if b"hungry" in words:
            raise MemoryError("no room")
        if b"hanging" in words:
            time.sleep(600)

    def _failed(
        self, task: PhotoTask, content: bytes, reason: str, error: Exception
    ) -> PhotoResult:
        failure = Failure(task.path, reason, str(error))
        return PhotoResult(content, None, (), self._rows(0, b""), failure)

    def _rows(self, count: int, content: bytes) -> np.ndarray:
        rows = np.random.default_rng(list(content)).normal(size=(count, self._dim))
        if self.spec.recipe.extractor.unit:
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows.astype(np.float32)

    @property
    def _dim(self) -> int:
        return self.spec.recipe.extractor.dim
