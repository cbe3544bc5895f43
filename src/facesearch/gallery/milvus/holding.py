"""One writer at a time, as far as that can be known."""

from __future__ import annotations

import os
import time

from facesearch.errors import StoreBusyError, StoreMissingError
from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.head import GalleryHead, read_head
from facesearch.gallery.milvus.tables import Table

_POLL_SECONDS = 1.0


def held_head(connection: Connection, wait: bool) -> GalleryHead | None:
    """The head of the gallery, when nobody of this machine writes it; None where there is none.

    Raises:
        StoreBusyError: somebody does.
    """
    while True:
        try:
            schema.require_collections(connection)
            head = read_head(Table(connection, schema.HEAD))
        except StoreMissingError:
            return None
        run = head.run
        if run is None or run.pid == os.getpid() or not run.progress().running:
            return head
        if not wait:
            raise StoreBusyError(
                f"{connection.address}: process {run.pid} of this machine writes it; wait with "
                "--wait"
            )
        time.sleep(_POLL_SECONDS)
