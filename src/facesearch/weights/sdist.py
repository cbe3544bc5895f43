"""A source archive read as an archive: members by name alone, nothing in it runs."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from facesearch.errors import WeightsError


def members(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Each regular file as (path below the archive's top folder, stream of its bytes).

    Links, devices and folders are passed over; no path of the archive is used to write anywhere.
    A stream is good until the next one is asked for.

    Raises:
        WeightsError: it is not a gzipped tar file or ends too early.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.isreg():
                    yield member.name.partition("/")[2], cast(BinaryIO, tar.extractfile(member))
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise WeightsError(
            f"{archive}: not a whole .tar.gz archive ({error}); download it again"
        ) from error
