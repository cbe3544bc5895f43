"""Every command and option as the program itself has them: one page, drawn from click."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

VALUED = re.compile(r"(-[\w-]+(?:(?:, | / )-[\w-]+)*)(?: (.+))?")
"""How click spells an option: its names, then what it takes."""

HEAD = """# Every option

Drawn from the program when this site was built, so it says what `--help` says.
[Commands, explained](commands.md) says more: why, with examples, and what is in the JSON.
"""


def options_page() -> str:
    """Markdown: a heading, the usage, the help and a table of options for each command."""
    from facesearch.cli.main import facesearch

    return "\n".join([HEAD, *map(_section, _contexts("facesearch", facesearch))])


def _contexts(name: str, command: click.Command) -> Iterator[click.Context]:
    """The command, then all below it, in the order that ``--help`` has."""
    context = click.Context(command, info_name=name)
    yield context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            below = command.get_command(context, child)
            if below is not None and not below.hidden:
                yield from _contexts(f"{name} {child}", below)


def _section(context: click.Context) -> str:
    command = context.command
    level = "##" if str(context.info_name).count(" ") < 2 else "###"
    usage = " ".join([str(context.info_name), *command.collect_usage_pieces(context)])
    parts = [f"{level} {context.info_name}", f"```text\n{usage}\n```", _told(command.help or "")]
    rows = [row for row in (_row(each, context) for each in command.params) if row]
    if rows:
        table = "\n".join(["| option | meaning |", "| --- | --- |", *rows])
        parts.append(f'<div class="options" markdown>\n\n{table}\n\n</div>')
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(parameter: click.Parameter, context: click.Context) -> str:
    """An option with its meaning; nothing for an argument, which stands in the usage."""
    record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
    if record is None:
        return ""
    names, value = VALUED.fullmatch(record[0]).groups(default="")
    value = value.strip("[]").replace("|", " | ")
    return f"| `{names}`{'<br>' if value else ''}{_plain(value)} | {_plain(record[1])} |"


def _told(text: str) -> str:
    """A docstring as Markdown; what click leaves as it is becomes a block of its own."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        f"```text\n{paragraph.removeprefix(chr(8)).strip(chr(10))}\n```"
        if paragraph.startswith("\b")
        else _plain(" ".join(paragraph.split()))
        for paragraph in paragraphs
        if paragraph.strip()
    )


def _plain(text: str) -> str:
    """Text in which Markdown and HTML find nothing to do."""
    return re.sub(r"[&\\`*_\[\]<>|]", lambda sign: f"&#{ord(sign[0])};", text)
