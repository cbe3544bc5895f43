"""Images that claim to be huge, one that is wide, and very many: memory has a bound."""

from __future__ import annotations

import random
import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from decoding_networks import DecodingNetworks

from facesearch.photos import read_photo
from facesearch.records import IndexSummary
from odd_photos import encoded, lopsided_picture, png_bomb
from photo_library import Library

MIB = 1 << 20
WORKER = 400 * MIB
"""What a worker may take at its peak while it decodes (without networks)."""
PARENT = 200 * MIB
"""How much the process that drives them may grow."""
SIDE = 40_000


class Peaks:
    """The most memory that this process and its workers have held, from the kernel's own count."""

    def __init__(self) -> None:
        self.worker = 0
        self._before = psutil.Process().memory_info().rss
        self.grown = 0
        self._asked = 0

    def __call__(self, state: Any) -> None:
        self._asked += 1
        if self._asked % 20 and state.done < state.total:
            return
        self.grown = max(self.grown, psutil.Process().memory_info().rss - self._before)
        for child in psutil.Process().children():
            self.worker = max(self.worker, _peak_of(child.pid))


def _peak_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    told = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
    return max(told, default=0)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path / "home", processes=True)
    library.hooks["factory"] = DecodingNetworks
    return library


def bombs(number: int) -> dict[str, bytes]:
    """Small files of four formats that claim 40,000 x 40,000 pixels; each number has others."""
    picture = lopsided_picture((64 + number, 48))
    jpeg, more = encoded(picture, "JPEG"), encoded(picture, "JPEG", progressive=True)
    told = struct.pack(">HH", 48, 64 + number), struct.pack(">HH", SIDE, SIDE)
    gif, tiff = encoded(picture, "GIF"), encoded(picture, "TIFF", compression="tiff_lzw")
    sides = struct.pack("<HH", 64 + number, 48), struct.pack("<HH", SIDE, SIDE)
    for tag in (256, 257):  # width and height, as short numbers
        at = tiff.index(struct.pack("<HH", tag, 3)) + 8
        tiff = tiff[:at] + struct.pack("<I", SIDE) + tiff[at + 4 :]
    return {
        "png": png_bomb(SIDE, SIDE) + b"%d" % number,
        "jpg": jpeg.replace(*told),
        "progressive.jpg": more.replace(*told),
        "gif": gif.replace(*sides),
        "tif": tiff,
    }


def tiny(number: int) -> bytes:
    """A PNG of 8 x 8 pixels like no other."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = random.Random(number).randbytes(8 * 24)
    body = b"".join(b"\0" + rows[start : start + 24] for start in range(0, 192, 24))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def indexed(library: Library) -> IndexSummary:
    """A run within the bounds."""
    peaks = Peaks()
    library.hooks["on_progress"] = peaks
    summary = library.index()
    assert 0 < peaks.worker < WORKER, f"{peaks.worker / MIB:.0f} MiB in a worker"
    assert peaks.grown < PARENT, f"{peaks.grown / MIB:.0f} MiB more in the parent"
    return summary


def test_images_that_claim_to_be_huge(library: Library, how_many, record) -> None:
    """A plain JPEG is decoded at an eighth, what it lacks is grey, as everywhere; all others are
    refused.
    """
    every = how_many(6, 40)
    for number in range(every):
        for name, data in bombs(number).items():
            assert len(data) < 10_000
            (library.photos / f"{number:02} bomb.{name}").write_bytes(data)
        (library.photos / f"{number:02} photo.png").write_bytes(tiny(number))
    summary = indexed(library)
    assert (summary.seen, summary.usable) == (6 * every, 2 * every)
    assert summary.failed_by_reason == {"too-large": 4 * every}
    refused = [Path(failure.path).name.partition(".")[2] for failure in summary.failures]
    assert Counter(refused) == dict.fromkeys(("png", "progressive.jpg", "gif", "tif"), every)
    outcomes = {"too-large": 4 * every, "read small": every, "other photos unharmed": every}
    record("Small files that claim 40,000 x 40,000 pixels (400 MiB a worker)", outcomes)


def test_a_panorama(library: Library, record) -> None:
    wide = lopsided_picture((30_000, 500))
    for image_format in ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP"):
        picture = wide.resize((16_383, 273)) if image_format == "WEBP" else wide  # its widest
        path = library.photos / f"panorama.{image_format.lower()}"
        path.write_bytes(encoded(picture, image_format))
    summary = indexed(library)
    assert (summary.usable, summary.failures) == (6, ())
    widths = [read_photo(path).facts.width for path in library.photos.iterdir()]
    assert sorted(widths) == [16_383, *[30_000] * 5]
    record("Panoramas of 30,000 x 500 pixels (400 MiB a worker)", {"read": summary.usable})


@pytest.mark.timeout(900)
def test_very_many_files(library: Library, how_many, record) -> None:
    count = how_many(5_000, 50_000)
    for number in range(count):
        path = library.photos / f"{number // 1000:02}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(tiny(number))
    summary = indexed(library)
    assert (summary.new, summary.usable, summary.failures) == (count, count, ())
    assert len(library.store.files) == count
    record("Tiny files in one run (400 MiB a worker)", {"read": summary.usable})
