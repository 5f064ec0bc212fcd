"""The html of a story in a real browser: the slider rewinds it, and a hostile log does nothing."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Visit

LABCTL = Path(sysconfig.get_path("scripts")) / "labctl"
EVIL = '<script>document.title="owned"</script><img/src=x/onerror=alert(1)>'


def page_of(folder: Path, *words: str) -> str:
    """Let labctl write a story, and return the address of its file."""
    path = folder / "story.html"
    subprocess.run([LABCTL, "story", *words, "--format", "html", "-o", path], check=True)
    return path.as_uri()


def visible(visit: Visit, selector: str) -> int:
    """How many of these are shown."""
    locators = visit.page.locator(selector).all()
    return sum(not locator.evaluate("one => one.hasAttribute('hidden')") for locator in locators)


def test_the_slider_rewinds_the_story(visit: Visit, tmp_path: Path) -> None:
    visit.page.goto(page_of(tmp_path, "--sample", "consul-1.15"))
    rows = visible(visit, "g.row")
    assert rows > 100
    assert visible(visit, "line.grant") > 3
    assert "consul3: " in visit.page.locator("#now").inner_text()
    slider = visit.page.locator("#moment")
    slider.fill("20")
    assert visible(visit, "g.row") == 20
    assert visible(visit, "line[data-row]") == visit.page.locator("line[data-row]").evaluate_all(
        "all => all.filter(one => Number(one.dataset.row) <= 20).length"
    )
    assert "20 of" in visit.page.locator("#now").inner_text()
    slider.fill("0")
    assert visible(visit, "g.row") == 0
    assert visit.page.locator("#past-rect").get_attribute("height") == "0"
    slider.focus()
    visit.page.keyboard.press("End")
    assert visible(visit, "g.row") == rows
    assert visit.errors == []
    assert all(request.startswith("file:") for request in visit.requests)


def test_there_is_a_lane_for_each_server_and_each_role_has_its_shape(visit: Visit, tmp_path: Path) -> None:
    visit.page.goto(page_of(tmp_path, "--sample", "consul-1.15"))
    lanes = visit.page.locator("text.name[text-anchor=middle]").all_text_contents()
    assert lanes == ["consul1", "consul2", "consul3"]
    for role in ("follower", "candidate", "leader"):
        assert visit.page.locator(f"g[clip-path] line.{role}").count() > 0
    bands = visit.page.locator("g[clip-path] rect.band")
    assert bands.count() == 5
    assert "could not reach consul1 for" in bands.nth(1).locator("title").inner_html()
    shapes = visit.page.locator(".mark").evaluate_all("all => [...new Set(all.map(one => one.tagName))].sort()")
    assert shapes == ["circle", "path", "rect"]
    line = visit.page.locator("g.row[data-role=leader] > title").first.evaluate("one => one.textContent")
    assert "entering leader state" in line


def test_a_screen_reader_gets_all_of_it_as_text(visit: Visit, tmp_path: Path) -> None:
    visit.page.goto(page_of(tmp_path, "--sample", "2015"))
    assert visit.page.get_by_role("img").get_attribute("aria-labelledby") == "story-title story-desc"
    assert visit.page.get_by_role("slider", name="Rewind").count() == 1
    assert visit.page.get_by_role("heading", name="Elections").count() == 1
    visit.page.locator("summary").click()
    cells = visit.page.locator("tbody tr").all_inner_texts()
    assert len(cells) == visit.page.locator("g.row").count()
    assert any("won the election of term 1" in cell for cell in cells)


def test_a_hostile_log_line_does_nothing(visit: Visit, tmp_path: Path) -> None:
    log = tmp_path / "consul1.log"
    log.write_text(
        f"2021-01-24T00:00:01Z [ERROR] agent.server.raft: failed to heartbeat to: peer={EVIL} error={EVIL}\n"
        f"2021-01-24T00:00:02Z [WARN]  raft: Rejecting vote request from {EVIL} since {EVIL}\n",
        encoding="utf-8",
    )
    visit.page.goto(page_of(tmp_path, str(log)))
    assert visit.page.title() == "The story of an election: consul1"
    assert visit.page.locator("script").count() == 1
    assert visit.page.locator("img").count() == 0
    assert visible(visit, "g.row") == 2
    assert visit.errors == []
    assert all(request.startswith("file:") for request in visit.requests)
