"""``facesearch pull``: a gallery in a search engine into a store file."""

from __future__ import annotations

import click

from facesearch.addresses import StoreName
from facesearch.cli.moving import require_address, run_transfer, transfer_options
from facesearch.cli.stores import choose_store, store_name


@click.command()
@click.argument("source", metavar="ADDRESS", type=store_name)
@click.argument("store", metavar="STORE", type=store_name)
@transfer_options
def pull(
    source: StoreName, store: StoreName, keep: bool, prune: bool, wait: bool, as_json: bool
) -> None:
    """Make the file STORE what the gallery at ADDRESS is; what is there is not fetched again.

    Photos that the gallery has not are removed from the store.
    """
    from facesearch.gallery.transfers import TransferOptions
    from facesearch.transferring import pull

    address = require_address(source)
    target = choose_store(store)
    options = TransferOptions(keep, prune, wait)
    run_transfer(lambda watch: pull(address, target, options, watch), target, as_json)
