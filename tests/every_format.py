"""Small photos of every format, for tests that break their bytes."""

from __future__ import annotations

import functools

from PIL import Image

from odd_photos import encoded, lopsided_picture

SIZE = (61, 47)
ROOM = 240
"""Bytes of EXIF that may be put in the place of others."""


@functools.cache
def samples() -> dict[str, bytes]:
    """One small file of each format and of the variants that take other ways in the decoders."""
    picture = lopsided_picture(SIZE)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = 6, "Maker", "2010:01:02 03:04:05"
    exif[0x010E] = "x" * ROOM
    exif.get_ifd(0x8769)[0x9003] = "2010:01:02 03:04:05"
    more = {"save_all": True, "append_images": [picture.transpose(Image.Transpose.ROTATE_180)] * 2}
    cut_out = picture.convert("RGBA")
    cut_out.putalpha(128)
    return {
        "JPEG": encoded(picture, "JPEG", exif=exif),
        "JPEG progressive": encoded(picture, "JPEG", progressive=True),
        "JPEG CMYK": encoded(picture.convert("CMYK"), "JPEG"),
        "PNG": encoded(picture, "PNG", exif=exif),
        "PNG 16": encoded(picture.convert("I;16"), "PNG"),
        "PNG palette": encoded(picture.quantize(16), "PNG"),
        "APNG": encoded(cut_out, "PNG", **more),
        "GIF": encoded(picture, "GIF", **more),
        "WEBP": encoded(picture, "WEBP", exif=exif, **more),
        "WEBP lossless": encoded(cut_out, "WEBP", lossless=True),
        "TIFF": encoded(picture, "TIFF", exif=exif, **more),
        "TIFF LZW": encoded(picture, "TIFF", compression="tiff_lzw"),
        "TIFF JPEG": encoded(picture, "TIFF", compression="jpeg"),
        "TIFF deflate": encoded(picture, "TIFF", compression="tiff_adobe_deflate"),
        "BigTIFF": encoded(picture.convert("F"), "TIFF", big_tiff=True),
        "BMP": encoded(picture, "BMP"),
        "BMP palette": encoded(picture.quantize(16), "BMP"),
        "HEIF": encoded(picture, "HEIF", exif=exif.tobytes()),
        "AVIF": encoded(picture, "AVIF", exif=exif),
    }
