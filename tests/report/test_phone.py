"""The page on a phone: nothing wider than 400 pixels and nothing cut off, light or dark."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from algoprog.literature.compare import compare
from algoprog.literature.figure import literature_figure
from algoprog.report.page.section import Section
from algoprog.report.write import write_report

VOID = {"meta", "link", "input", "br", "img", "hr", "path", "use", "rect", "circle"}


@pytest.fixture(scope="module")
def page(measured, tmp_path_factory: pytest.TempPathFactory) -> Path:
    literature = Section("Literature", figure=literature_figure(compare(measured.gains)))
    return write_report(tmp_path_factory.mktemp("phone"), measured.gains, measured.runs, extra=[literature])


class Inside(HTMLParser):
    """What each table, figure and listing stands in: (tag, classes of those around it, its own attributes)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.around: list[tuple[str, set[str]]] = []
        self.found: list[tuple[str, set[str], dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = set((dict(attrs).get("class") or "").split())
        if tag in ("table", "svg"):
            self.found.append((tag, {name for _, names in self.around for name in names}, dict(attrs)))
        if tag not in VOID:
            self.around.append((tag, classes))

    def handle_endtag(self, tag: str) -> None:
        while tag not in VOID and self.around and self.around.pop()[0] != tag:
            pass


@pytest.mark.slow
def test_what_is_wide_scrolls_by_itself_and_figures_scale(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = Inside(text).found
    assert {tag for tag, *_ in found} == {"table", "svg"}
    for tag, around, attributes in found:
        assert "scroll" in around
        if tag == "svg":
            assert "static" in around or attributes["class"] == "interval"  # a small one in its cell
            assert attributes["viewbox"]
    style = text[text.index("<style>") : text.index("</style>")]
    assert re.search(r"\.scroll \{[^}]*overflow-x: auto", style)
    assert re.search(r"^pre \{[^}]*overflow-x: auto", style, re.MULTILINE)
    phone = style[style.index("@media (max-width: 40rem)") :]
    assert ".static svg { min-width: 0; }" in phone
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text


MEASURE = """
<script>
const frame = document.querySelector("iframe");
setTimeout(() => {
  const page = frame.contentDocument, width = page.documentElement.clientWidth;
  const style = (e) => frame.contentWindow.getComputedStyle(e);
  const scrolls = (e) => {
    const up = e.parentElement;
    return up !== null && (style(up).overflowX === "auto" || scrolls(up));
  };
  const beyond = (e, box) => {
    const at = e.getBoundingClientRect();
    return at.width > 0 && (at.right > box.right + 1 || at.left < box.left - 1) && at.right > -999;
  };
  const wide = [...page.querySelectorAll("body *")].filter((e) =>
    beyond(e, {left: 0, right: width}) && !scrolls(e) && style(e).position !== "absolute" && !e.closest("svg"));
  const cut = [...page.querySelectorAll("svg")].flatMap((svg) => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].filter((e) => beyond(e, box));
  });
  const letters = [...page.querySelectorAll("svg text")].filter((e) => e.getBoundingClientRect().width > 0).map((e) => {
    const drawn = e.getScreenCTM();
    return parseFloat(style(e).fontSize) * Math.hypot(drawn.a, drawn.b);
  });
  const words = (found) => found.map((e) => `${e.tagName} ${e.textContent.slice(0, 40)}`);
  const name = style(page.documentElement).getPropertyValue("--page");
  document.title = JSON.stringify({width, whole: page.documentElement.scrollWidth, wide: words(wide), cut: words(cut),
    legends: page.querySelectorAll(".legend button").length, live: page.querySelectorAll(".live").length, name,
    smallest: Math.min(...letters), largest: Math.max(...letters)});
}, 6000);
</script>
"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_finds_everything_inside_the_page(page: Path, tmp_path: Path, width: int) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if browser is None:
        pytest.skip("no Chromium here")
    framed = html.escape(page.read_text(encoding="utf-8"), quote=True)
    outer = tmp_path / "outer.html"
    frame = f'<iframe style="width: {width}px; height: 9000px; border: 0" srcdoc="{framed}"></iframe>'
    outer.write_text(f"<!DOCTYPE html><title></title>{frame}{MEASURE}", encoding="utf-8")
    switches = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={tmp_path}/profile",
    ]
    command = [
        browser,
        *switches,
        "--window-size=1400,900",
        "--virtual-time-budget=20000",
        "--dump-dom",
        f"file://{outer}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    seen = json.loads(html.unescape(title[1]))
    assert seen["width"] == seen["whole"] == width
    assert seen["wide"] == seen["cut"] == []
    assert seen["live"] > 3
    assert 9 <= seen["smallest"] <= seen["largest"] <= 20  # pixels
    assert (seen["legends"] > 0) == (width < 640)
