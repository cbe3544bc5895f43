"""Galleries in Milvus: from a file in this process (Milvus Lite) to a cluster of servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.addresses import EngineAddress

if TYPE_CHECKING:
    from facesearch.gallery import Gallery
    from facesearch.gallery.milvus.writer import MilvusWriter
    from facesearch.gallery.opening import Description
    from facesearch.gallery.transfers import Transfer, TransferOptions
    from facesearch.store import Store


def open_gallery(address: EngineAddress) -> Gallery:
    """The gallery to search; see ``MilvusGallery``."""
    from facesearch.gallery.milvus.gallery import MilvusGallery

    return MilvusGallery(address)


def open_writer(address: EngineAddress, wait: bool) -> MilvusWriter:
    """What an index run writes with; see ``MilvusWriter``."""
    from facesearch.gallery.milvus.writer import MilvusWriter

    return MilvusWriter(address, wait)


def open_push(store: Store, address: EngineAddress, options: TransferOptions) -> Transfer:
    """A store on its way into the engine; see ``Push``."""
    from facesearch.gallery.milvus.pushing import Push

    return Push(store, address, options)


def open_pull(address: EngineAddress, target: Path, options: TransferOptions) -> Transfer:
    """A gallery on its way into a store; see ``Pull``."""
    from facesearch.gallery.milvus.pulling import Pull

    return Pull(address, target, options)


def describe(address: EngineAddress) -> Description:
    """What a gallery says of itself."""
    from facesearch.gallery.milvus import describing

    return describing.describe(address)


def traces_of(address: EngineAddress) -> list[str]:
    """What is left in a gallery of what it has forgotten, a line each."""
    from facesearch.gallery.milvus import forgetting

    return forgetting.traces_of(address)


def problems_of(address: EngineAddress) -> list[str]:
    """What is wrong in a gallery, a line each."""
    from facesearch.gallery.milvus import describing

    return describing.problems_of(address)
