"""Image formats by their bytes: which one it is, whether it is all there, how many frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, Literal

HEADER_BYTES = 128
"""How much of a file ``sniff`` wants to see."""

# fmt: off
PHOTO_EXTENSIONS = frozenset({
    ".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".heic", ".heics", ".heif", ".heifs",
    ".hif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
})
"""Names that promise a photo: content that is none is then a failure, not a file passed over."""

RAW_EXTENSIONS = frozenset({
    ".3fr", ".arw", ".cap", ".cr2", ".dcr", ".dng", ".eip", ".erf", ".fff", ".gpr", ".iiq", ".k25",
    ".kdc", ".mdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".pxn", ".r3d",
    ".raf", ".raw", ".rw2", ".rwl", ".rwz", ".sr2", ".srf", ".srw", ".x3f",
})
"""Camera raw files; most look like TIFF inside, with a thumbnail as their first page."""
# fmt: on

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"RIFF", "WEBP"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0\x08\0\0\0", "TIFF"),
    (b"MM\0+\0\x08\0\0", "TIFF"),
)
_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_TIFF_TYPE_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MAX_FRAMES = 10_000
"""Counting stops here, so that a crafted file cannot keep it busy."""


def sniff(header: bytes) -> str | None:
    """Tell the image format from the first bytes of a file, whatever its name.

    Args:
        header: the first ``HEADER_BYTES`` bytes, or the whole content.

    Returns:
        "JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "HEIF" or "AVIF"; None for anything else.
        Canon's CR2 says of itself that it is a TIFF; it is None here.
    """
    for start, image_format in _STARTS:
        if header.startswith(start):
            return image_format if _is_sure(image_format, header) else None
    return _sniff_brands(header) if header[4:8] == b"ftyp" else None


def _is_sure(image_format: str, header: bytes) -> bool:
    """Whether the bytes after the first ones fit the format too."""
    match image_format:
        case "WEBP":
            return header[8:12] == b"WEBP"
        case "BMP":  # "BM" also begins ordinary text
            return int.from_bytes(header[14:18], "little") in _BMP_HEADER_SIZES
        case "TIFF":
            return header[8:10] != b"CR"
        case _:
            return True


def _sniff_brands(header: bytes) -> str | None:
    """HEIF or AVIF by the brands of an ISO media file; videos share the container."""
    end = min(int.from_bytes(header[:4], "big"), len(header))
    brands = {header[8:12]} | {header[i : i + 4] for i in range(16, end - 3, 4)}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None


def promises_photo(name: str) -> bool:
    """Whether a file's name says that it is a photo."""
    return PurePosixPath(name).suffix.lower() in PHOTO_EXTENSIONS


def is_photo(name: str, header: bytes) -> bool:
    """Whether a file is a photo that can be read: by content, except that camera raw is not.

    Args:
        name: file name or path; looked at only to tell raw files from TIFF.
        header: the first ``HEADER_BYTES`` bytes.
    """
    found = sniff(header)
    if found == "TIFF":
        return PurePosixPath(name).suffix.lower() not in RAW_EXTENSIONS
    return found is not None


def ends_early(image_format: str, data: bytes) -> bool:
    """Whether a file that could not be decoded lacks its end, by the format's own structure.

    Args:
        image_format: as ``sniff`` names it.
        data: the whole content.
    """
    return _ENDS_EARLY.get(image_format, _boxes_end_early)(data)


def _jpeg_ends_early(data: bytes) -> bool:
    scan = _first_scan(data)  # not from the start: a thumbnail in the EXIF has an end of its own
    return scan is None or data.find(b"\xff\xd9", scan[0]) < 0


def _first_scan(data: bytes) -> tuple[int, int] | None:
    """Where a JPEG's first scan begins and how many components it has; None if it never does."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1
            continue
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in {0x00, 0x01} or 0xD0 <= marker <= 0xD8:
            at += 2
        elif marker == 0xDA:
            return (at, data[at + 4]) if at + 4 < len(data) else None
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def has_many_scans(data: bytes, components: int) -> bool:
    """Whether a JPEG brings its components one after the other.

    Such a file, like a progressive one, is kept whole in memory while it is decoded, even when
    the picture asked for is small.
    """
    scan = _first_scan(data)
    return scan is not None and scan[1] < components


def _boxes_end_early(data: bytes) -> bool:
    """Whether an ISO media file ends inside a box, or before the one with the pixels."""
    at = 0
    kinds = set()
    while at + 8 <= len(data):
        kinds.add(data[at + 4 : at + 8])
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return False
        if size < 8:
            break
        at += size
    return at > len(data) or b"mdat" not in kinds


def _tiff_ends_early(data: bytes) -> bool:
    """Whether the first page's table, or anything it points to, lies beyond the end."""
    layout = _TiffLayout(data)
    page = layout.number(layout.first, layout.offset_size)
    entries = layout.number(page, layout.count_size)
    start = page + layout.count_size
    if start + entries * layout.entry_size > len(data):
        return True
    values = {}
    for at in range(start, start + entries * layout.entry_size, layout.entry_size):
        size = _TIFF_TYPE_SIZES.get(layout.number(at + 2, 2), 1)
        count = layout.number(at + 4, layout.offset_size)
        value_at = at + 4 + layout.offset_size
        if size * count > layout.offset_size:
            value_at = layout.number(value_at, layout.offset_size)
        if value_at + size * count > len(data):
            return True
        values[layout.number(at, 2)] = (value_at, size, count)
    for starts, lengths in ((273, 279), (324, 325)):  # strips, tiles
        if starts in values and lengths in values:
            pairs = zip(
                layout.numbers(*values[starts]), layout.numbers(*values[lengths]), strict=False
            )
            return any(begin + length > len(data) for begin, length in pairs)
    return False


class _TiffLayout:
    """How a TIFF writes its numbers; BigTIFF has wider ones."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
        is_big = 43 in data[2:4]
        self.first = 8 if is_big else 4
        self.offset_size = 8 if is_big else 4
        self.count_size = 8 if is_big else 2
        self.entry_size = 20 if is_big else 12

    def number(self, at: int, size: int) -> int:
        """The number at a place; beyond the end what is left of it, or 0."""
        return int.from_bytes(self._data[at : at + size], self._order)

    def numbers(self, at: int, size: int, count: int) -> list[int]:
        return [self.number(at + size * index, size) for index in range(count)]


def count_frames(image_format: str, image: Any, data: bytes) -> int:
    """Count animation frames or pages, at most 10,000; only the first is ever decoded.

    Args:
        image_format: as ``sniff`` names it.
        image: the opened Pillow image.
        data: the whole content.
    """
    if image_format == "TIFF":
        return _count_tiff_pages(data)
    if image_format == "GIF":
        return _walk_gif(data)[0]  # Pillow's own count has no limit
    return max(1, min(int(getattr(image, "n_frames", 1)), _MAX_FRAMES))


def _count_tiff_pages(data: bytes) -> int:
    """Follow the chain of pages; Pillow would build each page's tables on the way."""
    layout = _TiffLayout(data)
    at = layout.first
    pages = 0
    while pages < _MAX_FRAMES:
        page = layout.number(at, layout.offset_size)
        if page == 0 or page + layout.count_size > len(data):
            break
        pages += 1
        entries = layout.number(page, layout.count_size)
        at = page + layout.count_size + entries * layout.entry_size
    return max(1, pages)


def _walk_gif(data: bytes) -> tuple[int, bool]:
    """Step from block to block: number of frames, and whether the end was reached."""

    def table_size(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    at = 13 + table_size(data[10]) if len(data) > 13 else len(data)
    frames = 0
    while at + 10 <= len(data) and frames < _MAX_FRAMES:
        if data[at] == 0x2C:
            frames += 1
            at += 11 + table_size(data[at + 9])
        elif data[at] == 0x21:
            at += 2
        else:
            break
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return max(1, frames), at < len(data) and data[at] not in {0x2C, 0x21}


_ENDS_EARLY: dict[str, Callable[[bytes], bool]] = {
    "JPEG": _jpeg_ends_early,
    "PNG": lambda data: b"IEND\xae\x42\x60\x82" not in data,
    "GIF": lambda data: not _walk_gif(data)[1],
    "WEBP": lambda data: int.from_bytes(data[4:8], "little") + 8 > len(data),
    "BMP": lambda data: int.from_bytes(data[2:6], "little") > len(data),
    "TIFF": _tiff_ends_early,
}
