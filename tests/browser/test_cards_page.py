"""The cards on paper, in a real browser: none is cut by the end of a page, each QR code can be read, nothing runs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pypdfium2
import pytest
import zxingcpp

from labctl.shared import derived_secrets
from labctl.workshop import cards_html
from labctl.workshop.model.cards import Card, card_of, phone_text, way_to
from labctl.workshop.model.file import parse
from labctl.workshop.model.seats import seats_of

if TYPE_CHECKING:
    from tests.browser.conftest import Visit

EVIL = '<script>document.title="owned"</script><img/src=x/onerror=alert(1)>'
HOST = "[{address: 192.0.2.11, name: red, port: 2222}]"
FAR = "[{address: a-machine-with-a-long-name.in-some-department.of-the-university.example.org, name: red}]"
LONG = "[" + ", ".join(f"a-name-of-20-chars-{number}" for number in range(9)) + "]"
ROOMS = {
    "usual": f"workshop: raft101\nseats: 19\nexpires: 8h\nhosts: {HOST}\n",
    "one": "workshop: raft101\nseats: 1\n",
    "full": f"workshop: raft101\nseats: 11\nprofile: full\nhosts: {HOST}\n",
    "large": f"workshop: raft101-in-the-large-lecture-hall-friday\nseats: {LONG}\nprofile: full\nservers: 7\n"
    f"expires: '2026-11-24T18:00:00+01:00'\nhosts: {FAR}\n",
    "many": f"workshop: raft101\nseats: 200\nhosts: {HOST}\n",
}
# Dots to a millimetre of paper; a printer has more.
DOTS = 6


def cards(text: str) -> list[Card]:
    made = parse(text, Path("workshop.yml"))
    way = way_to(made.hosts[0], None, None)
    return [card_of(made, seat, way, derived_secrets.seed_of(bytes(32), seat.lab)) for seat in seats_of(made, {})]


def page_of(made: list[Card], paper: str, folder: Path) -> str:
    path = folder / "cards.html"
    path.write_text(cards_html.html(made[0].workshop, made, paper), encoding="utf-8")
    return path.as_uri()


def printed(visit: Visit, made: list[Card], paper: str, folder: Path) -> pypdfium2.PdfDocument:
    visit.page.goto(page_of(made, paper, folder))
    return pypdfium2.PdfDocument(visit.page.pdf(prefer_css_page_size=True))


def read_codes(page: pypdfium2.PdfPage) -> list[str]:
    """The text that a camera over the paper reads."""
    drawn = page.render(scale=DOTS * 25.4 / 72, grayscale=True)
    image = memoryview(bytes(drawn.buffer)).cast("B", (drawn.height, drawn.stride))
    kinds = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
    codes = zxingcpp.read_barcodes(image, formats=kinds, try_rotate=False, try_downscale=False, try_invert=False)
    return [barcode.text for barcode in codes]


def words(page: pypdfium2.PdfPage) -> str:
    """The text of a page without blanks and hyphens: a PDF's reader takes those at the end of a line away."""
    return bare(page.get_textpage().get_text_range())


def bare(text: str) -> str:
    return re.sub(r"[-\s\ufffe]", "", text)


@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize("room", ROOMS)
def test_no_card_is_cut_by_the_end_of_a_page_and_each_code_can_be_read(
    visit: Visit, tmp_path: Path, room: str, paper: str
) -> None:
    made = cards(ROOMS[room])
    pages = list(printed(visit, made, paper, tmp_path))
    sheet = cards_html.PAPERS[paper]
    left = list(made)
    for page in pages:
        assert page.get_size() == pytest.approx((sheet.width * 72 / 25.4, sheet.height * 72 / 25.4), abs=1)
        codes, text = read_codes(page), words(page)
        here, left = left[: len(codes)], left[len(codes) :]
        assert sorted(codes) == sorted(phone_text(card) for card in here)
        # Each card is on that page from its head to its last command, and of no other card any part.
        for card in here:
            assert bare(card.lab) in text
            assert bare(card.token) in text
        assert text.count("/v1/kv/greeting?raw'") == text.count("Lab,datacenter") == len(here)
    assert left == []


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_eight_usual_cards_are_on_a_sheet(visit: Visit, tmp_path: Path, paper: str) -> None:
    assert len(printed(visit, cards(ROOMS["usual"]), paper, tmp_path)) == 3


@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize("room", ROOMS)
def test_nothing_of_a_card_lies_over_its_edge_or_over_another_part(
    visit: Visit, tmp_path: Path, room: str, paper: str
) -> None:
    visit.page.emulate_media(media="print")
    visit.page.goto(page_of(cards(ROOMS[room])[:9], paper, tmp_path))
    outside = visit.page.evaluate(
        """() => [...document.querySelectorAll(".card")].flatMap(card => {
          const edge = card.getBoundingClientRect(), code = card.querySelector("svg").getBoundingClientRect();
          const about = card.querySelector(".about").getBoundingClientRect();
          const over = [...card.querySelectorAll("*")].filter(one => {
            const box = one.getBoundingClientRect();
            return box.left < edge.left - 1 || box.right > edge.right + 1
              || box.top < edge.top - 1 || box.bottom > edge.bottom + 1 || one.scrollWidth > one.clientWidth + 1
                && getComputedStyle(one).display === "block";
          }).map(one => one.outerHTML.slice(0, 80));
          return about.right > code.left + 1 ? [...over, "the code covers the text"] : over;
        })"""
    )
    assert outside == []


def test_the_page_needs_nobody_and_runs_nothing(visit: Visit, tmp_path: Path) -> None:
    visit.page.goto(page_of(cards(ROOMS["usual"]), "a4", tmp_path))
    assert visit.page.title() == "Cards of the workshop raft101"
    assert visit.page.locator("section.card").count() == 19
    assert visit.page.locator("script").count() == 0
    assert visit.errors == []
    assert visit.requests == [visit.page.url]


def test_hostile_text_does_nothing(visit: Visit, tmp_path: Path) -> None:
    way = replace(cards(ROOMS["one"])[0].way, host=EVIL, address=EVIL)
    evil = [
        replace(card, workshop=EVIL, seat=EVIL, lab=EVIL, way=way, profile=EVIL, expires=EVIL, ssh=EVIL, url=EVIL)
        for card in cards(ROOMS["usual"])
    ]
    visit.page.goto(page_of(evil, "a4", tmp_path))
    assert visit.page.title() == f"Cards of the workshop {EVIL}"
    assert visit.page.locator("img, script").count() == 0
    assert EVIL in visit.page.locator("h2").first.inner_text()
    assert visit.errors == []
    assert visit.requests == [visit.page.url]
