"""``facesearch completion``: the script with which a shell completes words."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options and names.

    Stores, systems, models and people are completed too. The script asks facesearch itself, so it
    stays right when facesearch is updated.
    """
    from click.shell_completion import get_completion_class

    from facesearch.cli.settable import COMPLETING

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "facesearch", COMPLETING).source())
