"""A workshop's cards as one JSON document: the instructor's list, gossip keys included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.workshop.model.cards import Card
    from labctl.workshop.model.file import Workshop


def text(workshop: Workshop, cards: Sequence[Card]) -> str:
    """The document as text."""
    return json.dumps(cards_document(workshop, cards), indent=2) + "\n"


def cards_document(workshop: Workshop, cards: Sequence[Card]) -> dict[str, Any]:
    """The JSON shape of `workshop cards`."""
    return {
        "workshop": workshop.name,
        "profile": workshop.spec.profile,
        "expires": workshop.expires,
        "cards": [card_row(card) for card in cards],
    }


def card_row(card: Card) -> dict[str, Any]:
    """One seat's card."""
    return {
        "seat": card.seat,
        "number": card.number,
        "lab": card.lab,
        "host": card.way.host,
        "address": card.way.address,
        "servers": [
            {"name": server.name, "address": server.address, "http_port": server.port} for server in card.servers
        ],
        "ssh": card.ssh,
        "url": card.url,
        "commands": [{"does": command.does, "command": command.words} for command in card.commands],
        "token": card.token,
        "gossip_key": card.gossip_key,
    }
