"""Encryption that takes no time, in chunks as small as a test wants them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from facesearch.store import sealing


@contextmanager
def cheap_encryption(chunk: int = sealing.CHUNK) -> Iterator[None]:
    """A passphrase costs next to nothing inside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "_COST", (4, 8, 1))
        patch.setattr(sealing, "CHUNK", chunk)
        patch.setattr(sealing, "RECORD", sealing.NONCE + chunk + sealing.TAG)
        yield


def sealed(plain: bytes, key: sealing.Key) -> bytes:
    """What an encrypted file of these bytes holds."""
    file = io.BytesIO()
    out = sealing.SealedFile(file, key)
    out.write(plain)
    out.close()
    return file.getvalue()
