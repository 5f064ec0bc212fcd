"""A workshop's cards as html, csv and json: complete, and harmless whatever a name is."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.shared import derived_secrets
from labctl.workshop import cards_csv, cards_html, cards_json
from labctl.workshop.model.cards import Card, HostAccess, card_of
from labctl.workshop.model.file import Workshop, parse
from labctl.workshop.model.seats import seats_of

EVIL = "<script>alert(1)</script>\"'&\x1b[31m"


def workshop(text: str = "workshop: raft101\nseats: 12\n") -> Workshop:
    return parse(text, Path("workshop.yml"))


def cards(made: Workshop | None = None) -> list[Card]:
    made = made or workshop()
    way = HostAccess("red", "192.0.2.11")
    return [card_of(made, seat, way, derived_secrets.seed_of(bytes(32), seat.lab)) for seat in seats_of(made, {})]


def test_the_sheet_has_every_card_and_no_gossip_key() -> None:
    made = cards()
    page = cards_html.html("raft101", made, "a4")
    assert page.count('<section class="card">') == page.count('class="qr"') == 12
    for card in made:
        assert card.gossip_key is not None
        assert card.token in page
        assert card.gossip_key not in page
        assert f">{card.ssh}<" in page


def test_the_sheet_asks_nobody_for_anything() -> None:
    page = cards_html.html("raft101", cards(), "letter")
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert not re.search(r"<(script|link|img|iframe|object|base)\b|url\(|@import|\bsrc=|\bhref=", page)


@pytest.mark.parametrize(("paper", "name"), [("a4", "A4"), ("letter", "Letter")])
def test_the_sheet_is_made_for_its_paper(paper: str, name: str) -> None:
    assert f"@page {{ size: {name}; margin: 7.0mm }}" in cards_html.html("raft101", cards(), paper)
    sheet = cards_html.PAPERS[paper]
    assert sheet.height - 2 * cards_html.MARGIN > 0


@pytest.mark.parametrize(("expires", "shown"), [("8h", "8h after the start"), ("2026-11-24T18:00:00Z", "2026-11-24T")])
def test_the_sheet_says_when_the_lab_is_removed(expires: str, shown: str) -> None:
    page = cards_html.html("raft101", cards(workshop(f"workshop: raft101\nseats: 1\nexpires: {expires}\n")), "a4")
    assert shown in page
    assert "Removed" not in cards_html.html("raft101", cards(), "a4")


def test_the_sheet_says_of_a_token_that_nobody_wants_it() -> None:
    full = cards(workshop("workshop: raft101\nseats: 1\nprofile: full\n"))
    assert "not needed" in cards_html.html("raft101", cards(), "a4")
    assert "not needed" not in cards_html.html("raft101", full, "a4")


@pytest.mark.parametrize("profile", ["open", "gossip"])
def test_the_sheet_does_not_promise_what_only_a_token_keeps(profile: str) -> None:
    page = cards_html.html("raft101", cards(workshop(f"workshop: raft101\nseats: 2\nprofile: {profile}\n")), "a4")
    assert "opens its own seat only" not in page
    assert f"Labs of the profile {profile} ask for no token" in page
    assert "reaches the HTTP API of every seat there" in page


def test_the_sheet_of_labs_with_tokens_says_that_it_opens_them_all() -> None:
    page = cards_html.html("raft101", cards(workshop("workshop: raft101\nseats: 2\nprofile: full\n")), "a4")
    assert "Each card opens its own seat only. This file opens them all" in page


def test_a_hostile_name_is_text_in_the_sheet() -> None:
    evil = [replace(card, seat=EVIL, lab=EVIL, ssh=EVIL, way=HostAccess(EVIL, EVIL), expires=EVIL) for card in cards()]
    page = cards_html.html(EVIL, evil, "a4")
    assert "<script" not in page
    assert "\x1b" not in page


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_list_has_a_line_for_every_seat() -> None:
    made = cards()
    listed = rows(cards_csv.text(made))
    assert [row["lab"] for row in listed] == [card.lab for card in made]
    assert listed[0]["servers"] == " ".join(server.address for server in made[0].servers)
    assert listed[0]["http_ports"] == "21000 21001 21002"
    assert [row["token"] for row in listed] == [card.token for card in made]
    assert listed[0]["gossip"] == f'encrypt = "{made[0].gossip_key}"'
    assert {row["address"] for row in listed} == {"192.0.2.11"}


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "=cmd|' /C calc'!A0"])
def test_a_spreadsheet_computes_nothing(begin: str) -> None:
    evil = [replace(card, seat=f"{begin}1+1", lab=f"{begin}x", expires=f"{begin}2") for card in cards()]
    for row in csv.reader(io.StringIO(cards_csv.text(evil))):
        assert [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))] == []


def test_a_key_that_begins_with_a_plus_stays_whole() -> None:
    card = replace(cards()[0], gossip_key="+abc=")
    assert rows(cards_csv.text([card]))[0]["gossip"] == 'encrypt = "+abc="'


def test_the_document_has_what_the_cards_have() -> None:
    made = workshop("workshop: raft101\nseats: 2\nexpires: 8h\nhttp_port: 0\n")
    document = json.loads(cards_json.text(made, cards(made)))
    assert document["workshop"] == "raft101"
    assert document["expires"] == "8h"
    assert [card["token"] for card in document["cards"]] == [card.token for card in cards(made)]
    assert document["cards"][0]["servers"][0]["http_port"] is None
    assert document["cards"][0]["commands"][0]["command"].startswith("curl ")
