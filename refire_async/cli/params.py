"""Options that can also be set in the environment, and the types of their values. Every error is one line."""

import math
import os
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from refire_async.errors import UsageError
from refire_async.model.address import SCHEME, parse_address

CONFIG = "refire.config"
"""Key of the configuration file in the `meta` of a click context (cli/config_file.py)."""


class Option(click.Option):
    """An option under the heading `group` of the help. `--max-wcu` is also `REFIRE_MAX_WCU`; `also`: older variables.

    `unset` describes the effective value if the option is not given and click has no default for it.

    An empty `REFIRE_` variable is refused: a script whose own variable is unset would otherwise run without the limit
    or the selection that it is meant to give. The older variables may be empty, for compatibility.
    """

    def __init__(
        self,
        *declarations: Any,
        group: str = "",
        also: tuple[str, ...] = (),
        unset: str = "",
        **settings: Any,
    ) -> None:
        own: str = "REFIRE_" + declarations[0][0].removeprefix("--").replace("-", "_").upper()
        super().__init__(*declarations, envvar=[own, *also], **settings)
        self.group = group
        self.unset = unset
        self.own_variable: str = own
        self.variables: tuple[str, ...] = (own, *also)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value from the environment. Raises UsageError if the variable is set but empty."""
        if os.environ.get(self.own_variable) == "":
            raise UsageError(f"{self.own_variable} is set but empty", "give it a value or unset it")
        return super().resolve_envvar_value(ctx)


def origin(ctx: click.Context | None, param: click.Parameter | None) -> str:
    """How the user gave this value, for messages: the option, the variable, the argument, or the file."""
    if param is None:
        return "a value"
    if not isinstance(param, Option):
        return (param.metavar or param.name or "argument").strip("[]").partition("|")[0].upper()
    source = ctx.get_parameter_source(param.name) if ctx is not None and param.name else None
    if source is ParameterSource.ENVIRONMENT:
        return variable_in_use(param)
    if ctx is not None and source is ParameterSource.DEFAULT_MAP and CONFIG in ctx.meta:
        return f"{param.opts[0].removeprefix('--')} in {ctx.meta[CONFIG].path}"
    return str(param.opts[0])


def variable_in_use(option: Option) -> str:
    """The environment variable that gives this option its value."""
    return next((name for name in option.variables if os.environ.get(name)), option.own_variable)


def quoted(value: object) -> str:
    """The user's value for an error message: one line of at most 60 characters."""
    text = repr(str(value))
    return text if len(text) <= 60 else f"{text[:50]}…{text[-8:]}"


_WHOLE = 100.0
"""Percent."""


class _Checked(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A value type whose errors are UsageErrors with the option, the value and what to give instead."""

    name = "text"

    def __init__(self, metavar: str) -> None:
        self.metavar = metavar

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:  # noqa: ARG002
        """The name of the value in the help."""
        return self.metavar

    def refuse(
        self,
        value: object,
        expected: str,
        action: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> UsageError:
        return UsageError(f"{origin(ctx, param)} must be {expected}, not {quoted(value)}", action)


class Number(_Checked):
    """A finite number above 0 and at most `most`. If `most` is 100, it may have a percent sign: `50%`."""

    def __init__(self, metavar: str, example: str, most: float = math.inf) -> None:
        super().__init__(metavar)
        self._example = example
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Raises UsageError."""
        try:
            number = float(str(value).removesuffix("%") if self._most == _WHOLE else value)
        except ValueError:
            number = math.nan
        if not 0 < number <= self._most or math.isinf(number):
            bound = "" if math.isinf(self._most) else f" and at most {self._most:g}"
            raise self.refuse(value, f"a number above 0{bound}", f"for example {self._example}", param, ctx)
        return number


class Whole(_Checked):
    """A whole number from `least` to `most`."""

    def __init__(self, metavar: str, example: str, least: int, most: int) -> None:
        super().__init__(metavar)
        self._example = example
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises UsageError."""
        try:
            number = int(value)
        except ValueError:
            number = self._least - 1
        if not self._least <= number <= self._most:
            expected = f"a whole number from {self._least:,} to {self._most:,}"
            raise self.refuse(value, expected, f"for example {self._example}", param, ctx)
        return number


class Duration(_Checked):
    """A time in hours, minutes and seconds, such as `90s`, `10m` or `1h30m`.

    From `least_s` to `most_s` seconds; by default from one second to a year.
    """

    _PARTS = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)

    def __init__(self, example: str, least_s: int = 1, most_s: int = 366 * 86_400) -> None:
        super().__init__("TIME")
        self._example = example
        self._least_s, self._most_s = least_s, most_s

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds. Raises UsageError."""
        found = self._PARTS.fullmatch(str(value))
        hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
        total = 3600 * hours + 60 * minutes + seconds
        if not self._least_s <= total <= self._most_s:
            expected = "a time such as 90s, 10m or 1h30m"
            if (self._least_s, self._most_s) != (1, 366 * 86_400):
                expected += f", from {self._least_s}s to {self._most_s // 3600}h"
            raise self.refuse(value, expected, f"for example {self._example}", param, ctx)
        return float(total)


class Word(_Checked):
    """Text of a certain form."""

    def __init__(self, metavar: str, pattern: str, expected: str, action: str) -> None:
        super().__init__(metavar)
        self._pattern = re.compile(pattern, re.DOTALL)
        self._expected, self._action = expected, action

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text. Raises UsageError."""
        if not self._pattern.fullmatch(value):
            raise self.refuse(value, self._expected, self._action, param, ctx)
        return str(value)


class KeyValues(Word):
    """Text of an option that can be repeated. A variable holds one value, which may contain spaces."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """The variable's value, not split."""
        return [rv]


class Percent(_Checked):
    """A percentage above 0 and at most `most`, with or without the sign."""

    def __init__(self, metavar: str, example: str, most: float = _WHOLE) -> None:
        super().__init__(metavar)
        self._example, self._most = example, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Raises UsageError."""
        try:
            number = float(str(value).strip().removesuffix("%"))
        except ValueError:
            number = math.nan
        if not 0 < number <= self._most:
            expected = f"a share above 0% and at most {self._most:g}%"
            raise self.refuse(value, expected, f"for example {self._example}", param, ctx)
        return number


class Rates(_Checked):
    """A timetable of rates, or one rate. It stays a text, which the run parses."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text. Raises UsageError, which names the invalid entry."""
        from refire_async.pacing.timetable import parse_timetable  # noqa: PLC0415 - not needed to show help

        try:
            parse_timetable(str(value), None)
        except UsageError as error:
            raise UsageError(f"{origin(ctx, param)}: {error.message}", error.action) from None
        return str(value)


class Zone(_Checked):
    """The name of a time zone."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name. Raises UsageError."""
        from refire_async.pacing.timetable import find_zone  # noqa: PLC0415 - not needed to show help

        try:
            find_zone(str(value))
        except UsageError as error:
            raise UsageError(f"{origin(ctx, param)}: {error.message}", error.action) from None
        return str(value)


class RunId(Word):
    """The id of a run, which is safe as a file name and in a shell."""

    def __init__(self, action: str) -> None:
        expected = "an id of up to 64 letters, digits, and . _ - after the first"
        super().__init__("ID", r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", expected, action)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's interface
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """Runs in the state folder, newest first, with table and status."""
        from refire_async.checkpoint import catalog  # noqa: PLC0415 - brings SQLite

        return [
            CompletionItem(run.run_id, help=f"{run.table}, {run.status}")
            for run in catalog.list_runs().runs
            if run.run_id.startswith(incomplete)
        ]


class OneOf(_Checked):
    """One of several words, in any case."""

    def __init__(self, metavar: str, *words: str) -> None:
        super().__init__(metavar)
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word in the spelling of the help. Raises UsageError."""
        for word in self.words:
            if word.lower() == str(value).lower():
                return word
        raise self.refuse(value, "one of " + ", ".join(self.words), "choose one of them", param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's interface
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """The words that begin like this."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class _File(_Checked):
    """The path of a file; shells complete it."""

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's interface
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        """Let the shell complete file names."""
        return [CompletionItem(incomplete, type="file")]


class ExistingFile(_File):
    """The path of an existing, readable file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path as given. Raises UsageError."""
        path = Path(value)
        what = _why_unreadable(path)
        if what is not None:
            raise UsageError(f"{origin(ctx, param)} {quoted(value)} {what}", "give the path of a file")
        return path


def _why_unreadable(path: Path) -> str | None:
    """Why the file cannot be read; None if it can."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "is not there"
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return "cannot be read"
    if stat.S_ISDIR(mode):
        return "is a folder"
    return None if stat.S_ISREG(mode) and os.access(path, os.R_OK) else "cannot be read"


class ConfigFile(ExistingFile):
    """The path of an existing, readable file; the null device for no file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path as given. Raises UsageError."""
        return Path(value) if value == os.devnull else super().convert(value, param, ctx)


class Readable(ExistingFile):
    """The path of an existing file, `-` for standard input, or an object in S3."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text as given. Raises UsageError."""
        if value == "-":
            return value
        if value.startswith("s3://"):
            if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+", value, re.DOTALL):
                raise self.refuse(
                    value, "an object in S3", "for example s3://bucket/folder/keys.jsonl", param, ctx
                )
            return value
        return str(super().convert(value, param, ctx))


class ExportFolder(_Checked):
    """The folder of an export, on this machine or in S3."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as given. Raises UsageError."""
        example = "for example s3://bucket/prefix/AWSDynamoDB/01693685827463-2d8752fd"
        if value.startswith("s3://"):
            if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+", value, re.DOTALL):
                raise self.refuse(value, "the folder of an export", example, param, ctx)
        elif not value or _why_unreadable(Path(value) / "manifest-summary.json") is not None:
            raise self.refuse(value, "a folder with a manifest-summary.json", example, param, ctx)
        return str(value)


class FilePath(_File):
    """The path of a file, which need not exist. Its folder must."""

    _LONGEST = 200
    """Maximum bytes of a file name. File systems allow 255, and files that belong to this one have longer names."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path as given. Raises UsageError."""
        path = Path(value)
        try:
            there = bool(value) and path.parent.is_dir()
            folder = path.is_dir()
            too_long = len(os.fsencode(path.name)) > self._LONGEST
        except (OSError, ValueError):  # a name that no file can have
            there, folder, too_long = True, False, True
        if not value or too_long:
            expected = f"the path of a file whose name has at most {self._LONGEST} bytes"
            raise self.refuse(value, expected, "for example ./orders.refire", param, ctx)
        if folder:
            raise UsageError(f"{origin(ctx, param)} {quoted(value)} is a folder", "give the path of a file")
        if not there:
            raise UsageError(
                f"{origin(ctx, param)}: folder {quoted(path.parent)} is not there",
                "create it or choose another one",
            )
        return path


class Checkpoint(FilePath):
    """The path of a checkpoint file, or `dynamodb://TABLE/RUN_ID`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path or the address. Raises UsageError."""
        if str(value).startswith(SCHEME):
            return parse_address(str(value))
        return super().convert(value, param, ctx)


class SavedCheckpoint(ExistingFile):
    """The path of an existing checkpoint file, or the address of a run in a table."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path or the address. Raises UsageError."""
        if str(value).startswith(SCHEME):
            return parse_address(str(value))
        return super().convert(value, param, ctx)


class Endpoint(_Checked):
    """The URL of a service: scheme, host and optionally a port."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The URL. Raises UsageError, which does not show a password."""
        if "@" in value:
            raise UsageError(
                f"{origin(ctx, param)} contains a user name or password",
                "give it as https://HOST or https://HOST:PORT; credentials come from the AWS configuration",
            )
        try:
            parts = urlsplit(value)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid or re.search(r"\s", value):
            action = "for example http://127.0.0.1:8000; leave it out for AWS itself"
            raise self.refuse(value, "a URL with http or https and a host", action, param, ctx)
        return str(value)


class NotifyAddress(_Checked):
    """Where to send the notification: a URL, or `sns:` and a topic's ARN. Errors do not show it: it may be secret."""

    _TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
    _HERE = ("127.0.0.1", "::1", "localhost")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The URL, or the topic's ARN without `sns:`. Raises UsageError."""
        text = str(value)
        topic = text.removeprefix("sns:")
        if self._TOPIC.fullmatch(topic):
            if topic.endswith(".fifo"):
                raise UsageError(f"{origin(ctx, param)} names a FIFO topic", "give a standard topic")
            return topic
        try:
            parts = urlsplit(text)
            host, secret = parts.hostname or "", parts.username is not None or parts.password is not None
            valid = bool(host) and parts.port != 0 and not re.search(r"[\s\x00-\x1f]", text)
            valid = valid and (parts.scheme == "https" or (parts.scheme == "http" and host in self._HERE))
        except ValueError:
            valid = secret = False
        if not valid or secret:
            raise UsageError(
                f"{origin(ctx, param)} must be an https URL without a user name, or sns:ARN",
                "for example --notify https://example.org/hook or --notify sns:arn:aws:sns:eu-west-1:123456789012:ops",
            )
        return text


class Flag(click.types.BoolParamType):
    """The value of a flag in a variable or a file: on or off."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Whether the flag is on. Raises UsageError."""
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word in ("1", "true", "yes", "on"):
            return True
        if word in ("0", "false", "no", "off"):
            return False
        raise UsageError(f"{origin(ctx, param)} must be 1 or 0, not {quoted(value)}", "or unset it")
