"""Break the network between servers: isolate, partition, one-way, loss, rate, delay."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.faults import nftables, targets
from labctl.faults.context import FaultContext, FaultRequest, fault_result, look, note
from labctl.faults.forecast import Outlook
from labctl.faults.nftables import Change, Cut, Delay
from labctl.faults.tools import TOOLS, Tools
from labctl.raft import log_notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from labctl.faults.forecast import Forecast
    from labctl.progress import Steps
    from labctl.results import FaultResult

LEASE_SECONDS = 60.0
"""How long a fault of the network lasts where nobody says."""
LONGEST_DELAY = 60_000
MOST_KILOBYTES = 1_000_000


def isolate(target: str, asked: FaultRequest, steps: Steps, tools: Tools = TOOLS) -> FaultResult:
    """Cut servers off from all others. Raises LabctlError."""
    scene = look(asked, tools)
    names = targets.resolve(target, scene.cluster)
    rest = [name for name in scene.cluster.running if name not in names]
    alone = [[name] for name in names]
    forecast = _outlook(scene, "isolate", asked).of_groups([rest, *alone], cut=True)
    return _cut(scene, f"isolate {','.join(names)}", forecast, _apart(scene, names), asked, steps)


def partition(words: Sequence[str], asked: FaultRequest, steps: Steps, tools: Tools = TOOLS) -> FaultResult:
    """Cut the lab into sides that do not reach each other. Raises LabctlError."""
    scene = look(asked, tools)
    sides = targets.sides(words, scene.cluster)
    cuts: dict[str, Cut] = {}
    for side in sides:
        others = scene.addresses([name for name in scene.cluster.servers if name not in side])
        cuts |= {name: Cut(incoming=others, outgoing=others) for name in side}
    text = f"partition {' / '.join(','.join(side) for side in sides)}"
    running = [[name for name in side if name in scene.cluster.running] for side in sides]
    forecast = _outlook(scene, "partition", asked).of_groups(running, cut=True)
    return _cut(scene, text, forecast, cuts, asked, steps)


def one_way(source: str, target: str, asked: FaultRequest, steps: Steps, tools: Tools = TOOLS) -> FaultResult:
    """Drop what one server sends to another; the other direction stays. Raises LabctlError."""
    scene = look(asked, tools)
    senders, receivers = targets.resolve(source, scene.cluster), targets.resolve(target, scene.cluster)
    if both := set(senders) & set(receivers):
        raise LabctlError(f"{min(both)} cannot be cut off from itself: name two servers.", ExitCode.USAGE)
    cuts = {name: Cut(incoming=scene.addresses(senders)) for name in receivers}
    text = f"one-way {','.join(senders)} {','.join(receivers)}"
    forecast = _outlook(scene, "one-way", asked).of_one_way(senders, receivers)
    return _cut(scene, text, forecast, cuts, asked, steps)


def loss(percent: float, target: str, asked: FaultRequest, steps: Steps, tools: Tools = TOOLS) -> FaultResult:
    """Drop some of the packets between servers and all others. Raises LabctlError."""
    if not nftables.LEAST_PERCENT <= percent <= 100:  # noqa: PLR2004 - percent
        raise LabctlError(f"{percent:g} percent cannot be lost: say {nftables.LEAST_PERCENT:g} to 100.", ExitCode.USAGE)
    scene = look(asked, tools)
    names = targets.resolve(target, scene.cluster)
    cuts = {name: replace(cut, percent=percent) for name, cut in _apart(scene, names).items()}
    forecast = _outlook(scene, "loss", asked).of_loss(names, percent)
    return _cut(scene, f"loss {percent:g} {','.join(names)}", forecast, cuts, asked, steps)


def rate(kilobytes: int, target: str, asked: FaultRequest, steps: Steps, tools: Tools = TOOLS) -> FaultResult:
    """Limit the bandwidth between servers and all others to that many kilobytes a second. Raises LabctlError."""
    if not 0 < kilobytes <= MOST_KILOBYTES:
        raise LabctlError(f"{kilobytes} kilobytes in a second is no rate: say 1 to {MOST_KILOBYTES}.", ExitCode.USAGE)
    scene = look(asked, tools)
    names = targets.resolve(target, scene.cluster)
    cuts = {name: replace(cut, kilobytes=kilobytes) for name, cut in _apart(scene, names).items()}
    forecast = _outlook(scene, "rate", asked).of_rate(names, kilobytes)
    return _cut(scene, f"rate {kilobytes} {','.join(names)}", forecast, cuts, asked, steps)


def delay(  # noqa: PLR0913, PLR0917 - how much, of whom, and with what
    milliseconds: int, target: str, jitter: int, asked: FaultRequest, steps: Steps, tools: Tools = TOOLS
) -> FaultResult:
    """Let what servers send to others leave late. Raises LabctlError, also where the kernel cannot."""
    if not 0 < milliseconds <= LONGEST_DELAY or not 0 <= jitter <= milliseconds:
        raise LabctlError(
            f"Invalid delay {milliseconds} ms ± {jitter} ms: use 1 to {LONGEST_DELAY}, with a jitter no larger "
            "than the delay.",
            ExitCode.USAGE,
        )
    scene = look(asked, tools)
    names = targets.resolve(target, scene.cluster)
    late = {name: Delay(cut.outgoing, milliseconds, jitter) for name, cut in _apart(scene, names).items()}
    text = f"delay {milliseconds}{f' ±{jitter}' if jitter else ''} {','.join(names)}"
    forecast = _outlook(scene, "delay", asked).of_delay(names, milliseconds + jitter)
    return _cut(scene, text, forecast, late, asked, steps)


def _cut(  # noqa: PLR0913, PLR0917 - what a fault of the network is
    scene: FaultContext,
    words: str,
    forecast: Forecast,
    changes: Mapping[str, Change],
    asked: FaultRequest,
    steps: Steps,
) -> FaultResult:
    for name in changes:
        state = scene.lab.server(name).state
        if state != "running":
            raise LabctlError(f"The network of {name} cannot be changed: it is {state} now.")
    seconds = asked.seconds or LEASE_SECONDS
    steps.note(f"{words} for {seconds:g} s: {forecast.sentence}.")
    if asked.dry_run:
        return fault_result(scene, "", words, list(changes), seconds, forecast=forecast)
    asked.keep()
    steps.begin(words)
    fault, tools = nftables.new_id(), scene.tools
    host = tools.clock(scene.lab.place)
    tools.change(scene.lab, changes, fault, words, seconds, host)
    try:
        line = log_notes.began(host.now(), fault, words, list(changes), seconds)
        note(scene.lab, list(changes), line, tools)
    except LabctlError:
        # Nobody would find it in the story.
        with contextlib.suppress(LabctlError):
            tools.lift(scene.lab, fault)
        raise
    steps.done(f"{words}: fault {fault}, for {seconds:g} s (`labctl fault heal {fault}` ends it sooner).")
    return fault_result(scene, fault, words, list(changes), seconds, forecast=forecast)


def _outlook(scene: FaultContext, verb: str, asked: FaultRequest) -> Outlook:
    return Outlook(scene, verb, asked.seconds or LEASE_SECONDS)


def _apart(scene: FaultContext, names: Sequence[str]) -> dict[str, Cut]:
    """For each of these servers, a cut between it and every other server of the lab."""
    if scene.lab.spec.servers == 1:
        raise LabctlError(f"The lab {scene.lab.name} has one server: there is no network to break.", ExitCode.USAGE)
    if len(scene.cluster.servers) == 1:
        raise LabctlError(
            f"Of the lab {scene.lab.name} only {scene.cluster.servers[0]} is there, so there is no network to break: "
            f"`labctl up {scene.lab.name}` makes the others again."
        )
    cuts = {}
    for name in names:
        others = scene.addresses([server for server in scene.cluster.servers if server != name])
        cuts[name] = Cut(incoming=others, outgoing=others)
    return cuts
