"""A workshop's cards as csv: the instructor's list, one line for each seat, that a spreadsheet may open."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from labctl.terminal.style import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.workshop.model.cards import Card

# A spreadsheet executes cells that begin with one of these (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
COLUMNS = (
    "workshop", "seat", "number", "lab", "host", "address", "servers", "http_ports", "ssh", "url", "profile", "expires",
    "token", "gossip",
)  # fmt: skip


def text(cards: Sequence[Card]) -> str:
    """The list with a header, in the format of RFC 4180."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _values(card)] for card in cards)
    return out.getvalue()


def _values(card: Card) -> list[str]:
    ports = [str(server.port) for server in card.servers if server.port is not None]
    return [
        card.workshop,
        card.seat,
        str(card.number),
        card.lab,
        card.way.host,
        card.way.address or "",
        " ".join(server.address for server in card.servers),
        " ".join(ports),
        card.ssh or "",
        card.url,
        card.profile,
        card.expires or "",
        card.token,
        # As a line of Consul's configuration: a key may begin with a plus, which the guard below would change.
        f'encrypt = "{card.gossip_key}"' if card.gossip_key else "",
    ]


def _cell(value: str) -> str:
    """A cell that is only text: if a spreadsheet would compute it, it gets an apostrophe in front."""
    shown = harmless(value)
    return f"'{shown}" if value.startswith(_FORMULA) or shown.startswith(_FORMULA) else shown
