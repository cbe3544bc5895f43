"""How a file becomes pixels: what is a photo, orientation, modes, limits, hashes.

A photo's file is opened only if it is a regular file, read into memory once, hashed, and decoded
from those very bytes; it is never written. Wherever a path is taken, an address in object storage
may stand in its place.
"""

from facesearch.photos.ahead import read_ahead
from facesearch.photos.decoding import PhotoLimits, decode_photo, photo_from_array, read_photo
from facesearch.photos.files import (
    PhotoBytes,
    hash_file,
    photo_error,
    printable,
    read_bytes,
    read_header,
)
from facesearch.photos.formats import (
    HEADER_BYTES,
    PHOTO_EXTENSIONS,
    RAW_EXTENSIONS,
    is_photo,
    promises_photo,
    sniff,
)
from facesearch.photos.patience import Further, Patience

__all__ = [
    "HEADER_BYTES",
    "PHOTO_EXTENSIONS",
    "RAW_EXTENSIONS",
    "Further",
    "Patience",
    "PhotoBytes",
    "PhotoLimits",
    "decode_photo",
    "hash_file",
    "is_photo",
    "photo_error",
    "photo_from_array",
    "printable",
    "promises_photo",
    "read_ahead",
    "read_bytes",
    "read_header",
    "read_photo",
    "sniff",
]
