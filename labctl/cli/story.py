"""labctl story: the elections in the servers' logs."""

from __future__ import annotations

import contextlib
import gc
import os
import stat
import sys
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

import click

from labctl import files
from labctl.cli.options import LAB_VARIABLE, FileName, json_option, viewer
from labctl.cli.output import say
from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from labctl.raft.collection import Record
    from labctl.raft.timers import Timers
    from labctl.story.file_names import FileNames

FORMATS = ("text", "json", "svg", "html", "mermaid")
DRAWN = FORMATS[2:]
OBJECTS_OF_A_ROUND = 50_000
"""New objects between two searches for reference cycles: a story makes millions of objects and no cycles."""


def _complete_sample(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The matching recordings."""
    from click.shell_completion import CompletionItem

    from labctl.story.log_files import sample_names

    return [CompletionItem(name) for name in sample_names() if name.startswith(incomplete)]


@click.command("story", short_help="Show who stood, who voted, who won, and why.")
@click.argument("what", nargs=-1, metavar="[LAB | FILE... | -]")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option(
    "--sample",
    metavar="NAME",
    default="",
    help="A recording that labctl ships, such as 2015.",
    shell_complete=_complete_sample,
)
@click.option("--since", metavar="TIME", help="Only from then on: 10m ago, or 2021-01-24T00:02:16.")
@click.option("--election", type=click.IntRange(1), metavar="N", help="Only the N-th election.")
@click.option("--lines", is_flag=True, help="Show the line that each event was read from.")
@click.option("--summary", is_flag=True, help="Only a summary: times without a leader, and what else went wrong.")
@click.option(
    "--all", "everything", is_flag=True, help="Every event, also repeated ones; in JSON, also lines not about Raft."
)
@click.option(
    "--raft-multiplier",
    type=click.IntRange(1, 10),
    metavar="N",
    help="The raft_multiplier of these servers: measured times are shown beside the configured ones.",
)
@click.option(
    "--name",
    "called",
    multiple=True,
    metavar="FILE=NAME",
    help="Whose log a file is, where neither its lines nor its path say so; may be given again.",
)
@click.option(
    "--timezone",
    metavar="ZONE",
    help="Where the clock of stamps is that name no zone: Europe/Berlin, or +02:00.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="What to write.")
@click.option("-o", "--output", type=FileName(), metavar="FILE", help="Write to this file.")
@json_option
def story_command(
    what: tuple[str, ...],
    *,
    sample: str,
    since: str | None,
    election: int | None,
    raft_multiplier: int | None,
    form: str,
    output: Path | None,
    follow: bool,
    lines: bool,
    summary: bool,
    everything: bool,
    as_json: bool,
    called: tuple[str, ...],
    timezone: str | None,
) -> None:
    """Show what the logs of LAB, or of FILES, say about Raft.

    Who stood for election and why, who voted for whom, who refused, who won, in which term, how long it took, and
    what ended each leadership. FILES are logs of any Consul since 0.5, as journald, syslog, Docker, Kubernetes or a
    log store hands them on, also packed; a folder, a bundle, a tar or a zip stands for the logs in it, and - for
    standard input. With --follow and --json, one event a line.
    """
    from labctl.story import json_view
    from labctl.story import source as flow
    from labctl.story.file_names import FileNames
    from labctl.story.live_text import LiveStoryText
    from labctl.story.text_view import StoryText

    gc.set_threshold(OBJECTS_OF_A_ROUND)
    if follow and election:
        raise LabctlError("--follow has no end and --election N is one that is over: use one of them.", ExitCode.USAGE)
    if follow and form in DRAWN:
        raise LabctlError(f"A story that goes on cannot be drawn as {form}: leave out --follow.", ExitCode.USAGE)
    if summary and (lines or everything or follow or as_json or form != "text"):
        raise LabctlError(
            "--summary is text, and only what happened: leave out --lines, --all, --follow, --json and --format.",
            ExitCode.USAGE,
        )
    if since and election:
        raise LabctlError("--election N is one election, whenever it was: leave out --since.", ExitCode.USAGE)
    if not (what or sample) and _is_piped():
        say("Note: standard input is not read. Write `labctl story -` to read what is piped into it.", err=True)
    begin = flow.moment(since, datetime.now(UTC)) if since is not None else None
    source = flow.source(
        what,
        sample=sample,
        follow=follow,
        everything=everything,
        raft_multiplier=raft_multiplier,
        owner=viewer(),
        lab=os.environ.get(LAB_VARIABLE) or None,
        called=flow.called(called),
        zone=None if timezone is None else flow.zone(timezone),
    )
    files.refuse_input(output, source.files)
    records = flow.of_one_election(source, election) if election else source.records(begin)
    # Following ends with Ctrl-C, and reports what it read just as a finished story does.
    in_document = (as_json or form == "json") and not follow
    with noted(source.notes if not in_document else (), interrupted=follow), _opened(output, at_once=follow) as out:
        if as_json or form == "json":
            if follow:
                json_view.write_stream(records, out)
            else:
                json_view.write_document(records, out, source.timers, source.notes, source.coverages.unread)
        elif form != "text":
            out.write(_drawn(form, records, source.timers, FileNames(source.logs)))
        else:
            kind = LiveStoryText if follow else StoryText
            writer = kind(
                out, source.servers, lines=lines, timers=source.timers, every=everything, summary=summary,
                files=FileNames(source.logs),
            )  # fmt: skip
            writer.write(records)


@contextlib.contextmanager
def noted(notes: Sequence[str], *, interrupted: bool) -> Iterator[None]:
    """Report at the end what a reader should know, also after an interrupt if `interrupted` is the usual end."""
    try:
        yield
    except KeyboardInterrupt:
        if interrupted:
            say_notes(notes)
        raise
    say_notes(notes)


def say_notes(notes: Sequence[str]) -> None:
    """Say what a reader should know."""
    for note in notes:
        say(f"Note: {note}", err=True)


def _is_piped() -> bool:
    """Whether standard input is a pipe or a file."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


@contextlib.contextmanager
def _opened(output: Path | None, *, at_once: bool) -> Iterator[IO[str]]:
    """Standard output or a file; an endless story is written to the file as it comes. Raises LabctlError."""
    if output is None or str(output) == files.STANDARD_OUTPUT:
        yield sys.stdout
    else:
        with files.write_at_once(output) if at_once else files.write_text(output) as out:
            yield out


def _drawn(form: str, records: Iterable[Record], timers: Timers | None, files: FileNames) -> str:
    """A story as a picture of that format."""
    from labctl.story import mermaid_view, page_view

    if form == "html":
        return page_view.html(records, timers, files)
    return (page_view.svg if form == "svg" else mermaid_view.mermaid)(records, timers)
