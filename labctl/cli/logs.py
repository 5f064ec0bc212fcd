"""`labctl logs`: show the servers' logs."""

from __future__ import annotations

import click

from labctl.cli.options import json_option, lab_argument, server_option, viewer
from labctl.cli.output import say


@click.command("logs", short_help="Show the servers' logs.")
@lab_argument
@click.option("-f", "--follow", is_flag=True, help="Keep following new output.")
@click.option("--raft", is_flag=True, help="Only lines about Raft, in words; repeats are folded.")
@click.option("--lines", is_flag=True, help="With --raft, also each line that it was read from, and none folded.")
@server_option("Only this server.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Only each server's last N lines.")
@click.option("--no-prefix", is_flag=True, help="Leave out the server's name in front of each line.")
@json_option
def logs_command(
    lab: str | None,
    server: str,
    tail: int | None,
    *,
    follow: bool,
    raft: bool,
    lines: bool,
    no_prefix: bool,
    as_json: bool,
) -> None:
    """Show what the servers of LAB wrote, merged by time, one colour for each server.

    With --raft, each line is explained, faults included: a repeated line is shown once, then with a count, and
    a finished election is summed up in a sentence. With --lines, the lines stand below; with --no-prefix, there is
    nothing but the lines. The servers' own stamps order them; with --follow, each waits 0.4 s for lines that come
    later. With --json, one document for each line: time, server and line, with --raft also its event, term and words.

    With --raft or --follow, lines of labctl.docker say what Docker did to a server: killed, stopped, paused, started.
    """
    from labctl.engine import client, labs, logs
    from labctl.story import container_acts, own_stamps
    from labctl.story.log_printer import LogLines, raft_lines
    from labctl.story.source import Notes

    if lines and not raft:
        raise click.UsageError("--lines belongs to --raft: without it, lines are all that is shown.")
    connection = client.connect()
    chosen = labs.choose_lab(connection, lab, viewer())
    servers = [chosen.server(server)] if server else list(chosen.servers)
    if raft:
        printer = raft_lines(chosen, servers, as_json=as_json, prefix=not no_prefix, lines=lines)
    else:
        printer = LogLines(servers, as_json=as_json, prefix=not no_prefix)
    # Show what was done to the servers too, unless only their lines are wanted.
    told = (follow or raft) and not no_prefix
    come = (
        (container_acts.follow if follow else container_acts.read)(connection, chosen, servers, tail)
        if told
        else (logs.follow if follow else logs.read)(connection, servers, tail)
    )
    notes = Notes()
    if raft:
        come = own_stamps.in_own_order(come, live=follow, note=notes.say)
    try:
        for line in come:
            if line is None:
                printer.wait()
            else:
                printer.write(line)
    except KeyboardInterrupt:
        # A stream that is followed has no end, and has counted its lines already.
        printer.finish()
        raise
    else:
        printer.finish()
    finally:
        for note in notes:
            say(f"Note: {note}", err=True)
