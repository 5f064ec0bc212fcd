"""A seat's card: where its lab is, its credentials, and the first commands to type.

An attendee has no Docker. At the Docker host, the lab's HTTP API is on the loopback; other attendees
forward it to their own machine over SSH, with a login that may do nothing but forward ports.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.shared import derived_secrets, lab_names, subnets

if TYPE_CHECKING:
    from labctl.workshop.model.file import Host, Workshop
    from labctl.workshop.model.seats import Seat

LOGIN = "attendee"
"""The attendees' login on the Docker hosts, by default."""
SEAT = "{seat}"
"""Stands for the seat's name in a login."""
LOOPBACK = "127.0.0.1"
# SSH brings the server's port to Consul's own on the attendee's machine, so `consul members` needs no address.
_OWN_PORT = 8500
_SSH_PORT = 22
_CURL_FILE = "lab.curl"
_LOGIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?", re.ASCII)
# What looks like an IPv4 address and is none: no host name ends in a label of digits.
_DIGITS_LAST = re.compile(r"(.*\.)?[0-9]+", re.ASCII)


@dataclass(frozen=True)
class HostAccess:
    """How attendees reach the Docker host of their seat.

    Attributes:
        host: the Docker host's name.
        address: where SSH finds it; None where attendees sit at it.
        port: SSH's port.
        login: the user that they log in as; `{seat}` stands for the seat's name.
    """

    host: str
    address: str | None
    port: int | None = None
    login: str = LOGIN


@dataclass(frozen=True)
class Server:
    """One server of a seat: its address in the lab's network, and its HTTP port on the Docker host's loopback.

    `port` is None where Docker chooses it at each start.
    """

    name: str
    address: str
    port: int | None


@dataclass(frozen=True)
class Command:
    """A command to type, and what it does."""

    does: str
    words: str


@dataclass(frozen=True)
class Card:
    """An attendee's card, and a row of the instructor's list.

    Attributes:
        workshop: the workshop's name.
        seat: the seat's name.
        number: the seat's number.
        lab: the lab's name, which is Consul's datacenter too.
        way: how the attendee reaches its Docker host.
        servers: its servers, in the order of their names.
        profile: what they require of clients: `open`, `gossip` or `full`.
        expires: when the lab is removed, as the workshop's file has it; None for never.
        ssh: the command that forwards the first server's HTTP API to the attendee's machine; None at the Docker host.
        url: the address for the attendee's browser, while `ssh` runs.
        commands: what to type then, in this order.
        token: gives access to the seat's lab where the profile is `full`, and to no other lab.
        gossip_key: the key that the lab's servers share, which no attendee needs; None where there is none.
    """

    workshop: str
    seat: str
    number: int
    lab: str
    way: HostAccess
    servers: tuple[Server, ...]
    profile: str
    expires: str | None
    ssh: str | None
    url: str
    commands: tuple[Command, ...]
    token: str = field(repr=False)
    gossip_key: str | None = field(repr=False)

    @property
    def asks_for_token(self) -> bool:
        """Whether the servers require the token."""
        return self.profile == "full"


def way_to(host: Host, login: str | None, address: str | None) -> HostAccess:
    """How attendees reach a Docker host.

    Args:
        host: as the workshop's file has it.
        login: the attendees' login there; None for the usual one.
        address: where SSH finds this machine, for a host that is this machine; None where attendees sit at it.

    Raises:
        LabctlError (usage): the login or the address is invalid.
    """
    if login is not None and not _LOGIN.fullmatch(login.replace(SEAT, "x")):
        raise LabctlError(
            f"{login!a} is no login name: give one such as {LOGIN}, in which {SEAT} may stand for the seat's name.",
            ExitCode.USAGE,
        )
    if address is not None and not _is_address(address):
        raise LabctlError(f"{address!a} is no host name and no address.", ExitCode.USAGE)
    where = address if host.local else host.address
    return HostAccess(host.name, where, host.port, login or LOGIN)


def _is_address(text: str) -> bool:
    """Whether SSH could find a machine by it: with a port behind it, it finds none."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(text)) and not _DIGITS_LAST.fullmatch(text)
    # A zone is for one machine only, and `%` is a sign of SSH's own.
    return "%" not in text


def card_of(workshop: Workshop, seat: Seat, way: HostAccess, seed: bytes) -> Card:
    """The card of a seat, derived from its settings: the same seat on the same Docker host gets the same card again."""
    names = lab_names.server_names(workshop.spec.servers)
    addresses = subnets.addresses(seat.subnet, workshop.spec.servers)
    ports: list[int | None] = [seat.http_port + number if seat.http_port else None for number in range(len(names))]
    servers = tuple(Server(*each) for each in zip(names, addresses, ports, strict=True))
    token = derived_secrets.token(seed)
    where, port = _api(servers[0], workshop.spec.profile)
    ssh = None
    if way.address is not None:
        ssh = _forwarding(way, seat.name, f"{where}:{port}")
        where, port = LOOPBACK, _OWN_PORT
    url = f"{'https' if workshop.spec.profile == 'full' else 'http'}://{where}:{port}"
    return Card(
        workshop=workshop.name,
        seat=seat.name,
        number=seat.number,
        lab=seat.lab,
        way=way,
        servers=servers,
        profile=workshop.spec.profile,
        expires=workshop.expires,
        ssh=ssh,
        url=f"{url}/ui/",
        commands=_first(url, token if workshop.spec.profile == "full" else None),
        token=token,
        gossip_key=None if workshop.spec.profile == "open" else derived_secrets.gossip_key(seed),
    )


def _api(server: Server, profile: str) -> tuple[str, int]:
    """The address of a server on the Docker host itself.

    Its port on the loopback is only known beforehand if the file sets it; the server's own address never changes.
    """
    return (LOOPBACK, server.port) if server.port is not None else (server.address, lab_names.HTTP_PORTS[profile])


def _forwarding(way: HostAccess, seat: str, target: str) -> str:
    login = way.login.replace(SEAT, seat)
    port = f"-p {way.port} " if way.port not in (None, _SSH_PORT) else ""
    return f"ssh -N -L {_OWN_PORT}:{target} {port}{shlex.quote(f'{login}@{way.address}')}"


def _first(url: str, token: str | None) -> tuple[Command, ...]:
    """Commands for anybody with curl. The token goes into a file, because other users can see a command's arguments."""
    curl, keep = "curl", []
    if token is not None:
        curl = f"curl -K {_CURL_FILE}"
        write = f"printf 'insecure\\nheader=\"X-Consul-Token: %s\"\\n' {token} > {_CURL_FILE}"
        keep = [Command("keeps your token in a file; the certificate is your lab's own", f"(umask 077; {write})")]
    return (
        *keep,
        Command("who leads", f"{curl} {url}/v1/status/leader"),
        Command("write a value", f"{curl} -X PUT -d hello {url}/v1/kv/greeting"),
        # Some shells expand a question mark to names of files.
        Command("read it again", f"{curl} '{url}/v1/kv/greeting?raw'"),
    )


def phone_text(card: Card) -> str:
    """The text of a card's QR code: everything that is tedious to type. The gossip key is not in it."""
    lines = [f"{card.workshop} seat {card.seat}", card.ssh, card.url, f"token {card.token}"]
    wanted = lines if card.asks_for_token else lines[:-1]
    return "\n".join(line for line in wanted if line is not None)
