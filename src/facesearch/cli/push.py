"""``facesearch push``: a store file into a search engine."""

from __future__ import annotations

import click

from facesearch.addresses import StoreName
from facesearch.cli.moving import require_address, run_transfer, transfer_options
from facesearch.cli.stores import existing_store, store_name, warn_of_plain


@click.command()
@click.argument("store", metavar="STORE", type=store_name)
@click.argument("target", metavar="ADDRESS", type=store_name)
@transfer_options
def push(
    store: StoreName, target: StoreName, keep: bool, prune: bool, wait: bool, as_json: bool
) -> None:
    """Make the gallery at ADDRESS what the file STORE is; what is there is not sent again.

    ADDRESS is milvus+http://HOST:19530/COLLECTION, milvus+https://... or milvus+file:PATH. Photos
    that the store has not are removed from the gallery.
    """
    from facesearch.gallery.transfers import TransferOptions
    from facesearch.transferring import push

    address = require_address(target)
    source = existing_store(store)
    warn_of_plain(source, address)
    options = TransferOptions(keep, prune, wait)
    run_transfer(lambda watch: push(source, address, options, watch), target, as_json)
