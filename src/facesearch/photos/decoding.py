"""From a photo's bytes to its pixels and facts."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch.errors import PhotoError, UsageError
from facesearch.locations import Address
from facesearch.photos.exif import read_exif
from facesearch.photos.files import PhotoBytes, photo_error, printable, read_bytes
from facesearch.photos.formats import (
    HEADER_BYTES,
    count_frames,
    ends_early,
    has_many_scans,
    is_photo,
    sniff,
)
from facesearch.photos.modes import upright_pixels
from facesearch.photos.quiet import DECODERS_QUIET
from facesearch.records import Photo, PhotoFacts, Pixels

_DECODERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
}
_BYTES_PER_PIXEL = {"WEBP": 16, "HEIF": 8, "AVIF": 9}
"""Measured peak while decoding, where it is more than the usual 5."""
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|cannot handle|not identified|support not|not available"
    r"|unknown (pixel mode|data organization|compression)|decoder \w+ not",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class PhotoLimits:
    """How large a photo is decoded, and how large it may be.

    ``max_side`` is the longest side of the decoded pixels (None: whole). ``max_pixels`` limits the
    pixels that have to be held at once: those of the whole photo, for JPEG those of the reduced
    size it is decoded at (unless it is progressive, which has to be held whole). Measured, a pixel
    takes about 5 bytes in JPEG, PNG and TIFF, 8 in HEIC, 9 in AVIF and 16 in WebP, so the default
    of 200 million means 1 to 3.2 GB besides the file itself.

    Raises:
        UsageError: a limit is not positive.
    """

    max_side: int | None = 2048
    max_pixels: int = 200_000_000

    def __post_init__(self) -> None:
        if self.max_side is not None and self.max_side < 1:
            raise UsageError(f"--max-side must be at least 1, not {self.max_side}")
        if self.max_pixels < 1:
            raise UsageError(f"--max-pixels must be at least 1, not {self.max_pixels}")


def read_photo(
    source: str | Path | Address | bytes | BinaryIO,
    limits: PhotoLimits | None = None,
    name: str = "",
) -> Photo:
    """Read and decode a photo: upright 8-bit RGB, first frame or page, small when it is large.

    Args:
        source: a path or address, the content itself, or a file opened in binary mode.
        limits: sizes; ``PhotoLimits()`` when None.
        name: what messages call it; by default the path, or the file's own name.

    Raises:
        PhotoError: whatever is wrong with the photo, with its reason; nothing else comes out of
            the decoders.
        UsageError: the source is nothing that can be read.
    """
    return decode_photo(read_bytes(source, name), limits)


def decode_photo(file: PhotoBytes, limits: PhotoLimits | None = None) -> Photo:
    """Decode a photo whose bytes were read.

    Args:
        file: from ``read_bytes``.
        limits: sizes; ``PhotoLimits()`` when None.

    Raises:
        PhotoError: "not-a-photo", "truncated", "damaged", "unsupported" or "too-large".
    """
    limits = limits or PhotoLimits()
    image_format = sniff(file.data)
    if image_format is None:
        zeros = file.data.count(0) == len(file.data)
        raise photo_error("not-a-photo", file.name, "it holds only zero bytes" if zeros else "")
    if not is_photo(file.name, file.data[:HEADER_BYTES]):
        raise photo_error("unsupported", file.name, "a camera's raw file")
    with DECODERS_QUIET, _one_kind_of_error(file, image_format):
        image = _open(image_format, file.data)
        whole = image.size
        if image_format == "JPEG":
            _ask_for_less(image, limits.max_side)
        _require_pixels(image, whole, file, limits)
        _load(image, image_format)
        if image_format == "HEIF":
            whole = image.size  # the container may have told another
        exif = read_exif(image)
        # pillow-heif has turned the picture, whatever orientation EXIF or XMP still tell.
        orientation = 1 if image_format == "HEIF" else exif.orientation
        frames = count_frames(image_format, image, file.data)
        pixels = upright_pixels(image, limits.max_side, orientation)
    return Photo(
        pixels,
        PhotoFacts(
            content_hash=file.content_hash,
            pixel_hash=_pixel_hash(pixels),
            width=whole[1] if orientation > 4 else whole[0],
            height=whole[0] if orientation > 4 else whole[1],
            scale=max(pixels.shape[:2]) / max(whole),
            taken=exif.taken,
            camera=exif.camera,
            frames=frames,
            format=image_format,
        ),
    )


def photo_from_array(
    source: NDArray[np.uint8] | Image.Image, limits: PhotoLimits | None = None
) -> Photo:
    """Make a photo of pixels that are already in memory.

    Args:
        source: uint8 array (height, width) grey, (height, width, 3) RGB or (height, width, 4) RGBA,
            or a Pillow image, which is turned upright if its EXIF says so. Left unchanged.
        limits: sizes, as for files; ``PhotoLimits()`` when None.

    Returns:
        A photo whose ``content_hash`` is the SHA-256 of mode, size and pixel bytes.

    Raises:
        UsageError: another type, shape or dtype, or no pixels.
        PhotoError: the image cannot be loaded, or is larger than the limits allow.
    """
    limits = limits or PhotoLimits()
    image = source if isinstance(source, Image.Image) else _image_of(source)
    if min(image.size) < 1:
        raise UsageError(f"an image of {image.width} x {image.height} has no pixels")
    file = PhotoBytes("the image", b"", b"")
    with DECODERS_QUIET, _one_kind_of_error(file, ""):
        whole = image.size
        _require_pixels(image, whole, file, limits)
        image.load()
        whole = image.size  # TIFF turns itself while loading
        exif = read_exif(image)
        content = hashlib.sha256(f"{image.mode} {whole}".encode() + image.tobytes()).digest()
        pixels = upright_pixels(image, limits.max_side, exif.orientation)
    turned = exif.orientation > 4
    return Photo(
        pixels,
        PhotoFacts(
            content_hash=content,
            pixel_hash=_pixel_hash(pixels),
            width=whole[1] if turned else whole[0],
            height=whole[0] if turned else whole[1],
            scale=max(pixels.shape[:2]) / max(whole),
            taken=exif.taken,
            camera=exif.camera,
            format=image.format or "",
        ),
    )


def _image_of(array: NDArray[np.uint8]) -> Image.Image:
    if not isinstance(array, np.ndarray):
        raise UsageError(f"cannot make a photo of {type(array).__name__}; give an array or image")
    if array.dtype != np.uint8:
        raise UsageError(f"an array of {array.dtype}; photos are uint8, 0..255")
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {3, 4})) or not array.size:
        raise UsageError(
            f"an array of shape {array.shape}; photos are (h, w), (h, w, 3), (h, w, 4)"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _open(image_format: str, data: bytes) -> Image.Image:
    """Open with the one decoder of the format.

    Not with ``Image.open``: its own limit on pixels is a global of Pillow that other threads and
    callers share, while ours is an argument; and no decoder for rarer formats gets to see the file.
    """
    module, name = _DECODERS[image_format]
    image: Image.Image = getattr(importlib.import_module(module), name)(io.BytesIO(data))
    return image


def _ask_for_less(image: Any, max_side: int | None) -> None:
    """Have a JPEG decoded at half, a quarter or an eighth, with at least 3/4 of ``max_side``.

    With exactly ``max_side``, 4032 pixels would be decoded whole for the sake of the last 32.
    """
    longer = max(image.size)
    if max_side is None or longer <= max_side:
        return
    wanted = -(-max_side * 3 // 4)
    image.draft(image.mode, tuple(-(-side * wanted // longer) for side in image.size))


def _require_pixels(
    image: Image.Image, whole: tuple[int, int], file: PhotoBytes, limits: PhotoLimits
) -> None:
    """Refuse, before any memory is taken, what would take too much."""
    width, height = image.size
    if "progressive" in image.info or (
        image.size != whole and has_many_scans(file.data, getattr(image, "layers", 1))
    ):
        width, height = whole
    pixels = width * height
    if pixels > limits.max_pixels:
        gigabytes = pixels * _BYTES_PER_PIXEL.get(image.format or "", 5) / 1e9
        raise photo_error(
            "too-large",
            file.name,
            f"{width:,} x {height:,} = {pixels:,} pixels to hold in about {gigabytes:.1f} GB, "
            f"more than --max-pixels {limits.max_pixels:,}",
            "raise it if there is memory, or save the photo smaller",
        )


def _load(image: Any, image_format: str) -> None:
    """Decode; TIFF needs two things more.

    Pillow checks its size once more against its own limit, unless the memory is there already; and
    libtiff writes what it finds broken to the standard error itself.
    """
    if image_format != "TIFF":
        image.load()
        return
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        image.im = Image.new(image.mode, getattr(image, "_tile_size", image.size)).im
    with DECODERS_QUIET.without_stderr() if image.use_load_libtiff else contextlib.nullcontext():
        image.load()


def _pixel_hash(pixels: Pixels) -> bytes:
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


@contextlib.contextmanager
def _one_kind_of_error(file: PhotoBytes, image_format: str) -> Iterator[None]:
    """Decoders raise nearly anything on junk; here, and only here, all of it becomes one error."""
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise photo_error(
            "too-large", file.name, "there is not enough memory to decode it"
        ) from error
    except Image.DecompressionBombError as error:
        raise photo_error(
            "too-large", file.name, f"a frame larger than the {image_format} decoder allows"
        ) from error
    except Exception as error:
        raise _as_photo_error(error, file, image_format) from error


def _as_photo_error(error: Exception, file: PhotoBytes, image_format: str) -> PhotoError:
    if image_format and ends_early(image_format, file.data):
        return photo_error("truncated", file.name)
    said = printable(" ".join(str(error).split()))[:100]
    if _UNSUPPORTED.search(said):
        return photo_error(
            "unsupported", file.name, f"a kind of {image_format} that cannot be decoded: {said}"
        )
    return photo_error("damaged", file.name, f"the image data is broken: {said}" if said else "")
