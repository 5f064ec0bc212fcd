"""The command group, and the one place where errors become sentences and exit codes."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import json
import logging
import os
import re
import signal
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from labctl import __version__
from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from types import FrameType

# Each command with its line in the overview. It lives in the file of its name, which is loaded when it is used.
COMMANDS = {
    "up": "Bring a lab up: engine check, image, servers, join, ready.",
    "join": "Join the servers of a lab that was started with --no-join.",
    "down": "Remove a lab and prove that nothing of it is left.",
    "stop": "Stop a lab or one server; data and addresses stay.",
    "start": "Start a stopped lab or server.",
    "restart": "Restart a lab or one server.",
    "ls": "List the labs of this Docker host.",
    "status": "Show who leads, who votes, and how far each server's log is.",
    "members": "Show the members as Consul's gossip sees them.",
    "logs": "Show every server's lines in order of time, one colour each.",
    "bundle": "Save a lab's logs in one file that `labctl story` reads anywhere.",
    "story": "Show who stood, who voted for whom, who won, and why.",
    "fault": "Inject faults: kill, pause or isolate servers; and lift them.",
    "chaos": "Break a lab at random, and check that nothing is lost.",
    "measure": "Measure failover time over many rounds.",
    "verify": "Check that labs cannot reach each other, and audit container hardening.",
    "exec": "Run consul, or another command, in a server.",
    "workshop": "Give every attendee of a class a lab of their own.",
    "image": "Make, list, save and load the image of the servers.",
    "doctor": "Check this machine, and print the command that fixes each problem.",
    "completion": "Print the completion script for bash, zsh or fish.",
}


# User input that errors repeat; the name of a file may have 4095 bytes.
_ENDLESS = re.compile(r"\S{4200,}")


class LazyGroup(click.Group):
    """Knows its commands by name, and loads the file of the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which a learner meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load the command's file."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"labctl.cli.{cmd_name}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raises UsageError that names the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = ["--version"] if args[0] == "version" else difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean `labctl {near[0]}`?" if near else " `labctl --help` lists the commands."
            raise click.UsageError(f"There is no command {args[0]!a}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="One lab running: LAB may be left out. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not ready in time, "
    "4 refused, 130 interrupted.",
)
@click.version_option(__version__, "-V", "--version", prog_name="labctl", message="%(prog)s %(version)s")
def labctl() -> None:
    """A real Consul cluster on Docker: watch it elect a leader, break it, and watch again.

    `labctl up` starts a lab, `labctl logs -f --raft` follows its election, `labctl down` removes it.
    """


def run(arguments: list[str], handle: object = None, command: click.Command = labctl) -> int:
    """Run labctl with these arguments and return its exit code; errors go to stderr as one sentence.

    Args:
        arguments: what was typed.
        handle: what a command reaches the outside with (see `options.given`); None is the real world.
        command: what the arguments are for.
    """
    as_json = "--json" in arguments[: arguments.index("--")] if "--" in arguments else "--json" in arguments
    _open_streams()
    _log()
    from labctl.terminal import waiting

    waiting.choose(as_json=as_json)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the user's locale cannot write is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(arguments, handle, command, as_json=as_json)
    finally:
        _tell_of_strangers(as_json=as_json)


def _open_streams() -> None:
    """Give a command that was started without standard streams (`>&-`) streams that lead nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the end


def _let_go_of(stream: IO[str]) -> None:
    """Stop Python from complaining again when it closes a stream that accepts nothing."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(arguments: list[str], handle: object, command: click.Command, *, as_json: bool) -> int:  # noqa: PLR0911 - one return for each kind of end
    try:
        result = _invoke(arguments, handle, command)
        # Flush here, where a failed write can still be reported.
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help(), err=True)
        return ExitCode.USAGE
    except click.UsageError as error:
        told = "--help" in error.format_message()
        hint = "" if told or error.ctx is None else f" (`{error.ctx.command_path} --help` shows the usage)"
        # click lists choices one a line.
        sentence = error.format_message().replace("\n\t", " ")
        return complain(f"{sentence}{hint}", ExitCode.USAGE, as_json=as_json)
    except click.ClickException as error:
        return complain(error.format_message(), ExitCode.FAILED, as_json=as_json)
    except LabctlError as error:
        logging.getLogger(__name__).debug("where it came from", exc_info=True)
        return complain(error.sentence, error.code, as_json=as_json)
    except (KeyboardInterrupt, click.Abort) as error:
        sentence = str(error) or "Interrupted."
        return complain(sentence, ExitCode.INTERRUPTED, as_json=as_json)
    except BrokenPipeError:
        # The reader (`| head`) has all it wanted.
        _let_go_of(sys.stdout)
        return ExitCode.DONE
    except Exception as error:
        logging.getLogger(__name__).debug("a fault in labctl", exc_info=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _let_go_of(sys.stdout)
            sentence = "Cannot write all of it: no space is left. Make room, and run it again."
            return complain(sentence, ExitCode.FAILED, as_json=as_json)
        sentence = (
            f"Unexpected error ({type(error).__name__}: {error}): please report it. "
            "Set LABCTL_DEBUG=1 and run it again to see where."
        )
        return complain(sentence, ExitCode.FAILED, as_json=as_json)
    return result if isinstance(result, int) else ExitCode.DONE


def _invoke(arguments: list[str], handle: object, command: click.Command) -> Any:
    """Do what click's `main` does, but for its own handling of Ctrl-C and of a closed pipe, which hides ours."""
    if os.environ.get("_LABCTL_COMPLETE"):
        return labctl.main(args=arguments, prog_name="labctl")
    try:
        with command.make_context("labctl", list(arguments), obj=handle) as context:
            return command.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code


class _Harmless(logging.Formatter):
    """Keep control characters out of what libraries log and of tracebacks: both may quote foreign text."""

    def format(self, record: logging.LogRecord) -> str:
        from labctl.terminal.style import harmless

        return "\n".join(map(harmless, super().format(record).split("\n")))


def _log() -> None:
    """Log to stderr as LABCTL_DEBUG asks."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Harmless(logging.BASIC_FORMAT))
    logging.basicConfig(level=logging.DEBUG if os.environ.get("LABCTL_DEBUG") else logging.CRITICAL, handlers=[handler])


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell_of_strangers(*, as_json: bool) -> None:
    """List on stderr what carries our labels but is not ours; completion prints nothing."""
    met = sys.modules.get("labctl.engine.foreign_labels")
    sentences = met.sentences() if met is not None and not os.environ.get("_LABCTL_COMPLETE") else []
    for sentence in sentences:
        with contextlib.suppress(OSError):
            click.echo(json.dumps({"note": sentence}) if as_json else sentence, err=True)


def complain(sentence: str, code: ExitCode, *, as_json: bool) -> int:
    """Print in one sentence on stderr what went wrong, and return its exit code."""
    sentence = _ENDLESS.sub(lambda word: f"{word[0][:60]}...", sentence)
    if steps := sys.modules.get("labctl.terminal.progress"):
        steps.end_steps(failed=code is not ExitCode.INTERRUPTED)
    try:
        if as_json:
            click.echo(json.dumps({"error": sentence, "code": int(code)}), err=True)
        else:
            from labctl.terminal.style import coloured, harmless, paint

            sign = paint("error:", "red", colour=coloured(sys.stderr))
            # Ctrl-C is the user's own doing, and the usual end of what follows a log.
            said = harmless(sentence) if sentence.startswith("Interrupted") else f"{sign} {harmless(sentence)}"
            click.echo(said, err=True)
        sys.stderr.flush()
    except OSError:
        # Nowhere to say it; the exit code still does, which Python would replace by its own.
        _let_go_of(sys.stderr)
    return code
