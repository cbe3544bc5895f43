"""Fake networks that decode each photo, as real ones need it; workers import them from here."""

from __future__ import annotations

from dataclasses import dataclass

from facesearch.photos import decode_photo, read_bytes
from fake_networks import FakeNetworks


@dataclass(frozen=True)
class DecodingNetworks(FakeNetworks):
    """Every photo that can be decoded has faces as its bytes would have it."""

    def _do_harm(self, path: str, data: bytes) -> None:
        decode_photo(read_bytes(data, path), self.spec.limits)
