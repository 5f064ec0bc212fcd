"""`labctl exec`: run a command in a server."""

from __future__ import annotations

import click

from labctl.cli.options import complete_server, lab_option, user


@click.command(
    "exec",
    short_help="Run consul in a server.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@lab_option
@click.argument("server", shell_complete=complete_server)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def exec_command(lab: str | None, server: str, command: tuple[str, ...]) -> int:
    """Run a command in SERVER, as in `labctl exec consul1 -- consul operator raft list-peers`.

    The exit code is the command's.
    """
    from labctl.engine import client, labs
    from labctl.engine.exec import run_in
    from labctl.lab.desired_state import refuse_foreign

    named_lab = labs.choose_lab(client.connect(), lab, user())
    # The command may change anything in the server, so it counts as a change of the lab.
    refuse_foreign(named_lab, user())
    # Click stops reading at SERVER, so the `--` behind it is still there.
    words = list(command[1:] if command[:1] == ("--",) else command)
    return run_in(named_lab, named_lab.server(server), words)
