"""The page of a chaos run in a real browser: it shows what shows the verdict, and hostile text does nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labctl.experiments.chaos import html_view
from labctl.experiments.chaos.history import Final
from labctl.experiments.chaos.report import report_of
from tests.unit.experiments.chaos.chaos_run import run

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.experiments.chaos.report import Run
    from tests.browser.conftest import Visit

EVIL = '<script>document.title="owned"</script><img/src=x/onerror=alert(1)>'


def page_of(made: Run, folder: Path) -> str:
    path = folder / "chaos.html"
    path.write_text(html_view.html(report_of(made)), encoding="utf-8")
    return path.as_uri()


def test_the_page_shows_the_run_and_needs_nobody(visit: Visit, tmp_path: Path) -> None:
    visit.page.goto(page_of(run(), tmp_path))
    assert visit.page.locator("h1").inner_text() == "Chaos in the lab ada"
    assert visit.page.locator("p .verdict").inner_text() == "valid"
    names = visit.page.locator("svg text.name").all_text_contents()
    assert names == ["consul1", "consul2", "consul3", "leader", "latency"]
    assert visit.page.locator("svg rect.fault title").all_text_contents() == ["kill consul1, 2.0 s to 5.0 s"]
    paper = visit.page.locator("svg").bounding_box()
    assert paper is not None
    for locator in visit.page.locator("svg rect.served, svg rect.leads").all():
        box = locator.bounding_box()
        assert box is not None
        assert paper["x"] <= box["x"]
        assert box["x"] + box["width"] <= paper["x"] + paper["width"]
    assert visit.errors == []
    assert all(request.startswith("file:") for request in visit.requests)


def test_a_broken_promise_stands_with_its_requests(visit: Visit, tmp_path: Path) -> None:
    made = run()
    assert made.final is not None
    left = {key: value for key, value in made.final.added.items() if key != "set/adder2:3"}
    visit.page.goto(page_of(replace(made, final=Final(left, made.final.registers)), tmp_path))
    assert visit.page.locator("p .verdict").inner_text() == "invalid"
    assert visit.page.locator("td ol li").all_inner_texts() == [
        "3.200 s to 3.210 s adder2 writes set/adder2:3 through consul2: done"
    ]


def test_hostile_text_does_nothing(visit: Visit, tmp_path: Path) -> None:
    made = run()
    evil = replace(
        made,
        lab=EVIL,
        disturbances=tuple(replace(disturbance, what=EVIL, skipped=EVIL) for disturbance in made.disturbances),
        final=Final({EVIL: EVIL}, {"register/a": EVIL}),
    )
    visit.page.goto(page_of(evil, tmp_path))
    assert "owned" not in visit.page.title().replace(EVIL, "")
    assert visit.page.locator("img").count() == 0
    assert EVIL in visit.page.locator("h1").inner_text()
    assert visit.errors == []
