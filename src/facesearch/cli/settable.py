"""Commands whose options come from the command line, the environment or a settings file."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from facesearch.cli.manual import epilog
from facesearch.cli.settings import Known, Setting, files_in_force, rivals, settings_of
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETING = "_FACESEARCH_COMPLETE"
"""The variable that a shell's script sets when it asks."""
_PROGRAM = "FACESEARCH"
_IN_FORCE = "facesearch.settings"
_PLAINEST_FIRST = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
)


def settable(command: click.Command, path: tuple[str, ...]) -> click.Command:
    """The command, ``facesearch`` and ``path`` its name, with options that may be set elsewhere."""
    if not isinstance(command, click.Group):
        return SettableCommand(command, path)
    made = copy.copy(command)
    made.epilog = epilog(path, "")
    made.commands = {
        name: settable(child, (*path, name)) for name, child in command.commands.items()
    }
    return made


def settable_options(
    declared: Iterable[click.Parameter], path: tuple[str, ...]
) -> list[click.Parameter]:
    """Parameters, in which options know their variable and what excludes them."""
    made = [_settable(each, path) for each in declared]
    for option in made:
        if isinstance(option, SettableOption):
            option.rivals = [other for other in made if _excludes(other, option)]
    return made


def _settable(declared: click.Parameter, path: tuple[str, ...]) -> click.Parameter:
    if isinstance(declared, click.Argument):
        return CompletedArgument(declared)
    if isinstance(declared, click.Option) and declared.expose_value:
        return SettableOption(declared, _variable(declared, path))
    return declared


def spelled(option: click.Parameter) -> str:
    """The option's name as people write it, without dashes."""
    longest: str = max(option.opts, key=lambda name: name.startswith("--"))
    return longest.lstrip("-")


class SettableOption(click.Option):
    """An option as it was declared, which may be set elsewhere too."""

    def __init__(self, declared: click.Option, variable: str) -> None:
        self.__dict__.update(vars(declared))
        self.envvar = declared.envvar or variable
        self.rivals: list[click.Parameter] = []

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """One value, or one a line where the option may be repeated: names have spaces."""
        given = self.resolve_envvar_value(ctx)
        if given is None:
            return None
        if self.is_flag and not self.is_bool_flag:
            return self._chosen(given)
        if self.multiple:
            return [line for line in given.splitlines() if line]
        return given

    def _chosen(self, given: str) -> Any:
        """The value that a switch stands for, or None where the environment turns it off."""
        try:
            chosen = click.BOOL.convert(given, self, None)
        except click.BadParameter as error:
            raise UsageError(f"{_set_variable(self)}: {error.message.rstrip('.')}") from error
        value = [self.flag_value] if self.multiple else self.flag_value
        return value if chosen else None

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> Any:
        """What was given; nothing where something else that excludes it was given more plainly."""
        value, source = super().consume_value(ctx, opts)
        if source not in _PLAINEST_FIRST[1:]:
            return value, source
        plainer = _PLAINEST_FIRST[: _PLAINEST_FIRST.index(source)]
        if any(_source(rival, ctx, opts) in plainer for rival in self.rivals):
            return self.default, ParameterSource.DEFAULT
        return value, source

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """The value, converted.

        Raises:
            UsageError: it makes no sense, and was set elsewhere, which is named.
        """
        place = self._place(ctx)
        try:
            if isinstance(place, Setting):
                _require_kind(self, place.value)
                value = _as_written(place.value, self.multiple)
            return super().process_value(ctx, value)
        except (click.BadParameter, UsageError) as error:
            if not place:
                raise
            reason = error.message if isinstance(error, click.BadParameter) else str(error)
            raise UsageError(f"{place}: {reason.rstrip('.')}") from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What may stand for its value."""
        from facesearch.cli.completing import words_for

        found = words_for(self, ctx, incomplete)
        return super().shell_complete(ctx, incomplete) if found is None else found

    def _place(self, ctx: click.Context) -> Setting | str:
        """The variable or the setting that the value comes from; "" for the command line."""
        source = ctx.get_parameter_source(self.name or "")
        if source is ParameterSource.ENVIRONMENT:
            return _set_variable(self)
        if source is ParameterSource.DEFAULT_MAP:
            setting: Setting = ctx.meta[_IN_FORCE][spelled(self)]
            return setting
        return ""


class CompletedArgument(click.Argument):
    """An argument as it was declared, which the shell can complete."""

    def __init__(self, declared: click.Argument) -> None:
        self.__dict__.update(vars(declared))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What may stand in its place."""
        from facesearch.cli.completing import words_for

        found = words_for(self, ctx, incomplete)
        return super().shell_complete(ctx, incomplete) if found is None else found


class SettableCommand(click.Command):
    """A command as it was declared, with such options."""

    def __init__(self, declared: click.Command, path: tuple[str, ...]) -> None:
        self.__dict__.update(vars(declared))
        self.path = path
        self.params = settable_options(declared.params, path)
        self.epilog = epilog(path, next((str(each.envvar) for each in self._options()), ""))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the settings, unless only help is wanted; says which stranger's file counts."""
        asks_help = any(name in args for name in ctx.help_option_names)
        if not ctx.resilient_parsing and not asks_help:
            found = self._settings(ctx)
            ctx.meta[_IN_FORCE] = found
            ctx.default_map = {
                each.name or "": found[spelled(each)].value
                for each in self._options()
                if spelled(each) in found
            }
        rest = super().parse_args(ctx, args)
        self._tell(ctx)
        return rest

    def _options(self) -> list[SettableOption]:
        return [each for each in self.params if isinstance(each, SettableOption)]

    def _settings(self, ctx: click.Context) -> dict[str, Setting]:
        root = ctx.find_root()
        program = root.command
        if root.params.get("no_settings") or not isinstance(program, click.Group):
            return {}

        def options(name: str) -> list[str]:
            command = program.get_command(root, name)
            given = command.params if command is not None else []
            return [spelled(each) for each in given if isinstance(each, click.Option)]

        known = Known(program.list_commands(root), options)
        return settings_of(self.path[0], files_in_force(), known)

    def _tell(self, ctx: click.Context) -> None:
        from facesearch.cli.stores import say

        used = {
            setting.file.path
            for each in self._options()
            if ctx.get_parameter_source(each.name or "") is ParameterSource.DEFAULT_MAP
            and not (setting := ctx.meta[_IN_FORCE][spelled(each)]).file.own
        }
        for path in used:
            say(f"settings: {path}")


def _variable(option: click.Option, path: tuple[str, ...]) -> str:
    return "_".join((_PROGRAM, *path, spelled(option))).upper().replace("-", "_")


def _set_variable(option: click.Option) -> str:
    named = option.envvar or ()
    names = [named] if isinstance(named, str) else named
    return next(name for name in names if os.environ.get(name))


def _excludes(other: click.Parameter, option: click.Parameter) -> bool:
    if isinstance(other, click.Argument):  # [STORE], for which --store is another way
        return spelled(option) == "store" and other.metavar == "[STORE]"
    return isinstance(other, click.Option) and spelled(other) in rivals(spelled(option))


def _source(rival: click.Parameter, ctx: click.Context, opts: Mapping[str, Any]) -> Any:
    kind = click.Option if isinstance(rival, click.Option) else click.Argument
    return kind.consume_value(rival, ctx, opts)[1]  # type: ignore[arg-type]


def _require_kind(option: click.Option, value: object) -> None:
    """Refuses a value that TOML writes otherwise.

    Raises:
        UsageError: see the message.
    """
    values = value if isinstance(value, list) and option.multiple else [value]
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError("write true or false")
    elif not all(isinstance(each, (str, int, float)) for each in values):
        many = ", or a list of them" if option.multiple else ""
        raise UsageError(f"write a number or a text in quotes{many}")
    elif any(isinstance(each, bool) for each in values):
        raise UsageError("takes a value, not true or false")


def _as_written(value: object, repeated: bool) -> object:
    """As it would stand on the command line."""
    if repeated:
        return [str(each) for each in (value if isinstance(value, list) else [value])]
    return value if isinstance(value, bool) else str(value)
