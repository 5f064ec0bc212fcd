"""labctl fault: break something on purpose."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.options import (
    Function,
    complete_lab,
    complete_server,
    complete_target,
    dry_run_option,
    given,
    is_named,
    json_option,
    lab_option,
    user,
    viewer,
)
from labctl.cli.output import print_json, say
from labctl.cli.times import Amount, Time

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.results import FaultResult, HealResult

_MENDS = {"heal", "start", "resume"}
TARGET = "A server, several with commas between, or leader, follower, any, majority, minority."


_LEASE = click.option(
    "--for",
    "seconds",
    type=Time(),
    metavar="TIME",
    help="How long, such as 30s or 2m; then it ends by itself, inside the lab.  [default: 60s]",
)


def _lease_of_process(verb: str) -> Callable[[Function], Function]:
    back = "resumes them" if verb == "pause" else "starts them again"
    return click.option(
        "--for",
        "seconds",
        type=Time(),
        metavar="TIME",
        help=f"How long, such as 30s or 2m; a background process on this machine then {back}.",
    )


def _common(function: Function) -> Function:
    for option in (json_option, dry_run_option, lab_option):
        function = option(function)
    return function


def _options(function: Function) -> Function:
    return _common(_LEASE(function))


@click.group("fault", short_help="Break something on purpose.")
def fault_command() -> None:
    """Kill, stop or pause servers, cut them off, lose or slow down what they send; and heal them.

    TARGET is a server, several with commas between, or a role: leader, follower, any, majority, minority (followers
    first). What remains of the cluster is shown before anything happens. Faults of the network end by themselves after
    a minute, or after what --for says; they are lifted inside the lab, also when labctl is long gone. Servers that are
    killed, stopped or paused come back by themselves only with --for, and only while this machine runs. `labctl fault
    heal` lifts all of them, and lets every server run again.
    """


def _asked(lab: str | None, seconds: float | None, *, dry_run: bool) -> Any:
    from labctl.faults.context import FaultRequest

    return FaultRequest(lab, user(), seconds, dry_run)


def _do(flow: Callable[..., FaultResult | HealResult], *words: Any, as_json: bool, asked: Any) -> None:
    from labctl.faults import context
    from labctl.faults.tools import TOOLS, Tools
    from labctl.terminal.progress import steps_for

    steps, verb = steps_for(json=as_json), click.get_current_context().info_name or ""
    with nullcontext(asked) if verb in _MENDS else context.in_turn(asked, verb, steps) as asked_now:
        result = flow(*words, asked_now, steps, given(Tools, TOOLS))
    if as_json:
        print_json(result)


_PROCESS = {
    "kill": "Kill servers at once, as a machine that loses power.",
    "stop": "Stop servers in an orderly way.",
    "start": "Start servers that are down.",
    "pause": "Freeze servers: they are there, and do not answer.",
    "resume": "Resume paused servers.",
}


def _process_command(verb: str, text: str) -> click.Command:
    def command(target: str, lab: str | None, seconds: float | None = None, *, dry_run: bool, as_json: bool) -> None:
        from labctl.faults import processes

        _do(processes.process, verb, target, as_json=as_json, asked=_asked(lab, seconds, dry_run=dry_run))

    ends = verb in {"start", "resume"}
    with_options = click.argument("target", shell_complete=complete_target)(
        _common(command if ends else _lease_of_process(verb)(command))
    )
    return click.command(verb, help=f"{text}\n\n{TARGET}", short_help=text)(with_options)


for _verb, _text in _PROCESS.items():
    fault_command.add_command(_process_command(_verb, _text))


@fault_command.command("isolate", short_help="Cut servers off from all others.")
@click.argument("target", shell_complete=complete_target)
@_options
def isolate_command(target: str, lab: str | None, seconds: float | None, *, dry_run: bool, as_json: bool) -> None:
    """Cut servers off from all other servers. Clients still reach them."""
    from labctl.faults import network

    _do(network.isolate, target, as_json=as_json, asked=_asked(lab, seconds, dry_run=dry_run))


@fault_command.command("partition", short_help="Cut the lab into sides.")
@click.argument("sides", nargs=-1, required=True, metavar="A,B / C", shell_complete=complete_target)
@_options
def partition_command(
    sides: tuple[str, ...], lab: str | None, seconds: float | None, *, dry_run: bool, as_json: bool
) -> None:
    """Cut the lab into sides that do not reach each other, as in `labctl fault partition consul1,consul2 / consul3`."""
    from labctl.faults import network

    _do(network.partition, sides, as_json=as_json, asked=_asked(lab, seconds, dry_run=dry_run))


@fault_command.command("one-way", short_help="Drop what one server sends to another.")
@click.argument("source", metavar="FROM", shell_complete=complete_target)
@click.argument("target", metavar="TO", shell_complete=complete_target)
@_options
def one_way_command(
    source: str, target: str, lab: str | None, seconds: float | None, *, dry_run: bool, as_json: bool
) -> None:
    """Drop what FROM sends to TO. What TO sends still arrives."""
    from labctl.faults import network

    _do(network.one_way, source, target, as_json=as_json, asked=_asked(lab, seconds, dry_run=dry_run))


@fault_command.command("loss", short_help="Drop some of the packets.")
@click.argument("percent", type=Amount("labctl fault loss 30 leader"))
@click.argument("target", default="any", shell_complete=complete_target)
@_options
def loss_command(
    percent: float, target: str, lab: str | None, seconds: float | None, *, dry_run: bool, as_json: bool
) -> None:
    """Drop PERCENT of the packets between servers and all others. Without TARGET, of any one server."""
    from labctl.faults import network

    _do(network.loss, percent, target, as_json=as_json, asked=_asked(lab, seconds, dry_run=dry_run))


@fault_command.command("rate", short_help="Limit bandwidth.")
@click.argument("kilobytes", type=Amount("labctl fault rate 50 leader", whole=True))
@click.argument("target", default="any", shell_complete=complete_target)
@_options
def rate_command(
    kilobytes: int, target: str, lab: str | None, seconds: float | None, *, dry_run: bool, as_json: bool
) -> None:
    """Let KILOBYTES a second through between servers and all others, in each direction."""
    from labctl.faults import network

    _do(network.rate, kilobytes, target, as_json=as_json, asked=_asked(lab, seconds, dry_run=dry_run))


@fault_command.command("delay", short_help="Delay outgoing packets.")
@click.argument("milliseconds", type=Amount("labctl fault delay 200 leader", whole=True))
@click.argument("target", default="any", shell_complete=complete_target)
@click.option("--jitter", type=int, default=0, metavar="MS", help="By how many milliseconds more or less, at random.")
@_options
def delay_command(
    milliseconds: int,
    target: str,
    jitter: int,
    lab: str | None,
    seconds: float | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let what servers send to all others leave MILLISECONDS late.

    The Docker host's kernel needs the modules sch_htb and sch_netem for it.
    """
    from labctl.faults import network

    asked = _asked(lab, seconds, dry_run=dry_run)
    _do(network.delay, milliseconds, target, jitter, as_json=as_json, asked=asked)


@fault_command.command("transfer-leader", short_help="Transfer leadership to another server.")
@click.argument("target", default="", metavar="[SERVER]", shell_complete=complete_server)
@lab_option
@dry_run_option
@json_option
def transfer_command(target: str, lab: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Transfer leadership to SERVER, or to one that the leader chooses. Consul can do this since 1.15."""
    from labctl.faults import transfer_leader

    _do(transfer_leader.transfer, target, as_json=as_json, asked=_asked(lab, None, dry_run=dry_run))


@fault_command.command("heal", short_help="Lift a fault, or all of them.")
@click.argument("fault_id", required=False, metavar="[FAULT]")
@click.option("--all", "everything", is_flag=True, help="All faults, as without FAULT.")
@lab_option
@json_option
def heal_command(fault_id: str | None, lab: str | None, *, everything: bool, as_json: bool) -> None:
    """Lift FAULT, or all faults: take every rule away, look that it is gone, and let every server run again."""
    from labctl.faults import heal

    if fault_id is not None and everything:
        raise click.UsageError(f"{fault_id} is one fault and --all means all: say one of them.")
    _do(heal.heal, fault_id, as_json=as_json, asked=_asked(lab, None, dry_run=False))


@fault_command.command("ls", short_help="List the faults.")
@click.argument("named", required=False, metavar="[LAB]", shell_complete=complete_lab)
@lab_option
@json_option
def ls_command(named: str | None, lab: str | None, *, as_json: bool) -> None:
    """List the faults that a lab has now: servers that were killed, stopped or paused, and those of the network."""
    from labctl.cli import tables
    from labctl.faults import heal

    if named is not None and is_named("lab"):
        raise click.UsageError("Name the lab once: as [LAB] or with --lab.")
    name, faults = heal.ls(lab if named is None else named, viewer())
    if as_json:
        print_json(tables.faults_document(name, faults))
    elif faults:
        click.echo(tables.faults_table(faults))
    else:
        say(f"The lab {name} has no fault.")
