"""Commands that look at running labs: ls, status, members, logs, exec."""

from __future__ import annotations

import click

from labctl.cli.options import json_option, lab_argument, lab_option, server_option, user, viewer
from labctl.cli.output import print_json, say


@click.command("ls", short_help="List the labs.")
@json_option
def ls_command(*, as_json: bool) -> None:
    """List the labs of this Docker host: whose they are, whether they are ready, who leads."""
    from labctl.engine import client, labs, status
    from labctl.show import views

    found = status.ask_all(labs.list_labs(client.connect()))
    if as_json:
        print_json([views.ls_row(one) for one in found])
    elif found:
        click.echo(views.ls_table(found))
    else:
        click.echo("No lab is there: `labctl up` starts one.", err=True)


@click.command("status", short_help="Show who leads and who votes.")
@lab_argument
@json_option
def status_command(lab: str | None, *, as_json: bool) -> int:
    """Show LAB: who leads in which term, who votes, how far each server's log is. Exit code 3 where it is not ready."""
    from labctl.engine import client, labs, status
    from labctl.engine.condition import condition_of
    from labctl.errors import ExitCode
    from labctl.flows import fault
    from labctl.show import style, views

    connection = client.connect()
    now = status.ask(labs.choose_lab(connection, lab, viewer()))
    active = fault.active(connection, now.lab)
    condition = condition_of(now, active)
    if as_json:
        print_json(views.status_document(now, condition, active))
    else:
        click.echo(views.status_text(now, condition, active, viewer(), style.terminal_columns()))
    return ExitCode.DONE if condition.ready else ExitCode.NOT_READY


@click.command("members", short_help="Show the members.")
@lab_argument
@json_option
def members_command(lab: str | None, *, as_json: bool) -> None:
    """Show the members of LAB as `consul members` does: what the gossip of one server says of all."""
    from labctl.engine import client, labs, members
    from labctl.show import views

    found = members.read(labs.choose_lab(client.connect(), lab, viewer()))
    if as_json:
        print_json([member.row() for member in found])
    else:
        click.echo(views.members_table(found))


@click.command("logs", short_help="Show the servers' logs.")
@lab_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what the servers write from now on.")
@click.option("--raft", is_flag=True, help="Only what is about Raft, in words; what repeats is folded.")
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

    With --raft, what they mean is told, with what was broken on purpose: a line again and again is told once, and then
    how often; an election that is over is told in a sentence. --lines shows the lines too, --no-prefix nothing but the
    lines. The servers' own stamps order them; with --follow, each waits 0.4 s for lines that come later. With --json,
    one document for each line: time, server and line, with --raft also its event, term and words.

    With --raft or --follow, lines of labctl.docker say what Docker did to a server: killed, stopped, paused, started.
    """
    from labctl.engine import client, labs, logs
    from labctl.story import container_acts, own_stamps
    from labctl.story.log_printer import LogLines, raft_lines
    from labctl.story.source import Notes

    if lines and not raft:
        raise click.UsageError("--lines belongs to --raft: without it, lines are all that is shown.")
    connection = client.connect()
    found = labs.choose_lab(connection, lab, viewer())
    servers = [found.server(server)] if server else list(found.servers)
    if raft:
        printer = raft_lines(found, servers, as_json=as_json, prefix=not no_prefix, lines=lines)
    else:
        printer = LogLines(servers, as_json=as_json, prefix=not no_prefix)
    # What was done to the servers is told too, but where nothing but their lines is wanted.
    told = (follow or raft) and not no_prefix
    come = (
        (container_acts.follow if follow else container_acts.read)(connection, found, servers, tail)
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
        # What goes on is not over, and has been counted.
        printer.finish()
        raise
    else:
        printer.finish()
    finally:
        for one in notes:
            say(f"Note: {one}", err=True)


@click.command(
    "exec",
    short_help="Run consul in a server.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@lab_option
@click.argument("server")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def exec_command(lab: str | None, server: str, command: tuple[str, ...]) -> int:
    """Run a command in SERVER, as in `labctl exec consul1 -- consul operator raft list-peers`.

    The exit code is the command's.
    """
    from labctl.engine import client, commands, labs
    from labctl.flows.plan import refuse_foreign

    found = labs.choose_lab(client.connect(), lab, user())
    # What a command does in a server cannot be known beforehand, so it may change the lab.
    refuse_foreign(found, user())
    # Click stops reading at SERVER, so the `--` behind it is still there.
    words = list(command[1:] if command[:1] == ("--",) else command)
    return commands.run_in(found, found.server(server), words)
