"""``facesearch encrypt``: puts a store under a passphrase, another one, or none."""

from __future__ import annotations

import click

from facesearch.addresses import StoreName
from facesearch.cli.stores import named_store, say, say_plain_beside, store_name, store_option
from facesearch.errors import UsageError


@click.command()
@click.argument("argument", metavar="[STORE]", required=False, type=store_name)
@store_option
@click.option("--change", is_flag=True, help="Put it under another passphrase.")
@click.option("--off", is_flag=True, help="Write it in plain again.")
@click.option("--wait", is_flag=True, help="Wait while another process writes the store.")
def encrypt(
    argument: StoreName | None, store: StoreName | None, change: bool, off: bool, wait: bool
) -> None:
    """Encrypt a store that is there; facesearch index --encrypt makes a new one so.

    The passphrase is asked for, or comes from --passphrase-file FILE or --keyring, which every
    command takes. Without it nobody can open the store again.
    """
    from facesearch import encrypting

    if change and off:
        raise UsageError("--change and --off exclude each other; leave one out")
    path = named_store(argument, store)
    if change:
        damaged = encrypting.change_passphrase(path, wait)
        say(
            f"{path}: under its new passphrase; who has an older copy and its passphrase can still "
            "read that copy"
        )
    elif off:
        damaged = encrypting.decrypt(path, wait)
        say(f"{path}: in plain again, whoever may read the file can read it")
    else:
        damaged = encrypting.encrypt(path, wait)
        say(
            f"{path}: encrypted; the disk's free space may still hold what it was before, and so "
            "may copies and backups"
        )
    for file in damaged:
        say(f"{file}: was damaged and is removed; it is computed again when it is needed")
    if not off:
        say_plain_beside(path)
