"""A folder of odd files, as real folders have them, each with what is to become of it."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (96, 72)


def lopsided_picture(size: tuple[int, int] = SIZE) -> Image.Image:
    """A smooth picture whose four corners differ: red, green, blue, white in reading order."""
    corners = np.array([[[230, 20, 20], [20, 220, 20]], [[20, 20, 230], [235, 235, 235]]], np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)


def encoded(picture: Image.Image, image_format: str, **options: object) -> bytes:
    """A picture as the bytes of a file; "HEIF" through pillow-heif."""
    stream = io.BytesIO()
    if image_format == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(picture).save(stream, **{"quality": 95, **options})
    else:
        picture.save(stream, image_format, **options)
    return stream.getvalue()


def png_bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """A small, entirely valid start of a PNG that promises billions of pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 16))
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _good_files(face: Image.Image) -> dict[str, bytes]:
    sixteen = np.asarray(face.convert("L")).astype(np.uint16) * 257
    cut_out = face.convert("RGBA")
    cut_out.putalpha(Image.linear_gradient("L").resize(face.size))
    turned = Image.Exif()
    turned[0x0112] = 6
    sideways = face.transpose(Image.Transpose.ROTATE_90)
    further = [face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)] * 2
    jpeg = encoded(face, "JPEG", quality=95)
    return {
        "plain.jpg": jpeg,
        "UPPER.JPG": encoded(face, "JPEG", quality=94),
        "progressive.jpeg": encoded(face, "JPEG", quality=95, progressive=True),
        "rotated.jpg": encoded(sideways, "JPEG", quality=95, exif=turned),
        "cmyk.jpg": encoded(face.convert("CMYK"), "JPEG", quality=95),
        "grey.jpg": encoded(face.convert("L"), "JPEG", quality=95),
        "sixteen-bit.png": encoded(Image.fromarray(sixteen), "PNG"),
        "alpha.png": encoded(cut_out, "PNG"),
        "palette.png": encoded(face.quantize(64), "PNG"),
        "animated.gif": encoded(face, "GIF", save_all=True, append_images=further),
        "animated.webp": encoded(face, "WEBP", save_all=True, append_images=further, quality=95),
        "animated.png": encoded(face, "PNG", save_all=True, append_images=further),
        "pages.tif": encoded(face, "TIFF", save_all=True, append_images=further),
        "plain.bmp": encoded(face, "BMP"),
        "phone.heic": encoded(face, "HEIF"),
        "small.avif": encoded(face, "AVIF", quality=90),
        "really-a-png.jpg": encoded(face, "PNG"),
        "really-a-photo.txt": encoded(face, "JPEG", quality=93),
        "no-extension": encoded(face, "JPEG", quality=92),
        "trailing-junk.jpg": jpeg + b"\0appended by some tool" * 40,
        "tiny.png": encoded(Image.new("RGB", (1, 1), (200, 150, 120)), "PNG"),
        "änderung 写真 🙂.jpg": encoded(face, "JPEG", quality=91),
        "-k.jpg": encoded(face, "JPEG", quality=90),
        "line\nbreak.jpg": encoded(face, "JPEG", quality=89),
        "escape\x1b[31m.jpg": encoded(face, "JPEG", quality=88),
    }


def _bad_files(face: Image.Image) -> dict[str, tuple[bytes, str]]:
    jpeg = encoded(face, "JPEG", quality=95)
    png = encoded(face, "PNG")
    middle = png.index(b"IDAT") + 40
    return {
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"This is no photo at all.\n", "not-a-photo"),
        "zeros.jpg": (bytes(5_000), "not-a-photo"),
        "page.png": (b"<html><body>404 Not Found</body></html>", "not-a-photo"),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "truncated.png": (png[: len(png) // 2], "truncated"),
        "truncated.heic": (encoded(face, "HEIF")[:-200], "truncated"),
        "damaged.png": (png[:middle] + b"\xff" * 60 + png[middle + 60 :], "damaged"),
        "bomb.png": (png_bomb(), "too-large"),
        "notes.txt": (b"BM is how a bitmap begins, and this text as well\n", "not-read"),
        "clip.mov": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(2_000), "not-read"),
        "camera.nef": (encoded(face, "TIFF"), "not-read"),
        "empty.txt": (b"", "not-read"),
        "Thumbs.db": (b"\xd0\xcf\x11\xe0" + bytes(600), "not-read"),
    }


def write_odd_photos(folder: Path, face: Image.Image | None = None) -> dict[str, str]:
    """Write the odd files into a folder.

    Hidden files, a thumbnail folder, a recycle bin and a link that leads in a circle are written
    too; they are never so much as listed and so have no outcome.

    Args:
        folder: exists and is empty.
        face: the picture that every readable file shows (RGB); a few colours when None.

    Returns:
        File name -> "ok", a key of ``records.REASONS``, or "not-read".
    """
    face = (face or lopsided_picture()).convert("RGB")
    outcomes: dict[str, str] = {}
    for name, data in _good_files(face).items():
        (folder / name).write_bytes(data)
        outcomes[name] = "ok"
    for name, (data, outcome) in _bad_files(face).items():
        (folder / name).write_bytes(data)
        outcomes[name] = outcome
    jpeg = encoded(face, "JPEG", quality=87)
    if sys.platform == "linux":  # macOS refuses such names
        name = os.fsdecode(b"latin-\xe9t\xe9.jpg")
        (folder / name).write_bytes(jpeg)
        outcomes[name] = "ok"
    (folder / "locked.jpg").write_bytes(jpeg)
    (folder / "locked.jpg").chmod(0)
    outcomes["locked.jpg"] = "ok" if os.access(folder / "locked.jpg", os.R_OK) else "unreadable"
    os.mkfifo(folder / "pipe.jpg")
    outcomes["pipe.jpg"] = "not-read"
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    outcomes["dangling.jpg"] = "not-read"
    _write_unseen(folder, jpeg)
    return outcomes


def _write_unseen(folder: Path, jpeg: bytes) -> None:
    for name in (
        ".hidden.jpg",
        "._plain.jpg",
        ".thumbnails/t.jpg",
        "@eaDir/t.jpg",
        "$RECYCLE.BIN/r.jpg",
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg)
    (folder / "circle").symlink_to(folder, target_is_directory=True)
