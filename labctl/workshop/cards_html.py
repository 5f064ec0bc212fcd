"""A workshop's cards as one self-contained html file for a printer: eight on a sheet, with marks to cut along."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from labctl.terminal.templates import template
from labctl.workshop.model.cards import phone_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.workshop.model.cards import Card


@dataclass(frozen=True)
class Paper:
    """A paper's name in CSS and its size in millimetres."""

    name: str
    width: float
    height: float


PAPERS = {"a4": Paper("A4", 210, 297), "letter": Paper("Letter", 215.9, 279.4)}
# Most printers leave this margin white at each edge.
MARGIN = 7.0
COLUMNS, ROWS = 2, 4


def html(workshop: str, cards: Sequence[Card], paper: str) -> str:
    """Make the sheets. They need no network."""
    sheet = PAPERS[paper]
    return template("cards.html.j2").render(
        workshop=workshop,
        paper=sheet,
        margin=MARGIN,
        card_width=(sheet.width - 2 * MARGIN) / COLUMNS,
        # A hair less than a quarter, so that rounding never makes a fifth sheet of four rows.
        card_height=(sheet.height - 2 * MARGIN) / ROWS - 0.1,
        rows=[cards[first : first + COLUMNS] for first in range(0, len(cards), COLUMNS)],
        count=len(cards),
        qr=qr,
        opens=opens(cards),
    )


def opens(cards: Sequence[Card]) -> str:
    """Who can use a card, and so this file: only servers of the profile `full` authenticate clients."""
    if all(card.asks_for_token for card in cards):
        own = "Each card opens its own seat only."
        return f"{own} This file opens them all: keep it to yourself, and delete it afterwards."
    (profile,) = {card.profile for card in cards if not card.asks_for_token}
    return (
        f"Labs of the profile {profile} ask for no token: anyone who can log in to a Docker host, or forward a port "
        "from it, reaches the HTTP API of every seat there, whatever card they hold. The profile full gives each seat "
        "a token of its own."
    )


def qr(card: Card) -> Markup:
    """A card's QR code as svg, black on white with the quiet zone that readers want."""
    import segno  # noqa: PLC0415 - only here

    out = io.BytesIO()
    code = segno.make_qr(phone_text(card), error="m")
    code.save(out, kind="svg", xmldecl=False, svgns=False, omitsize=True, border=4, light="#fff", svgclass="qr")
    return Markup(out.getvalue().decode("utf-8"))  # noqa: S704 - shapes of segno's own; the text is only in the dots
