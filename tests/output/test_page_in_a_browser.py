"""The report in headless Chromium: it opens without an error or a request, in light, in dark and on paper."""

import io
from pathlib import Path

import pytest
from PIL import Image

from refire_async.model.proof import ProofCounts
from refire_async.output.html.page import render
from refire_async.output.html.report_data import read_report_data
from tests.output.runs import finished_run
from tests.output.test_page import NOW
from tests.support.chromium import browser_page

CLEAN = ProofCounts(expected=59_990, once=59_990)


def colours(picture: bytes) -> tuple[tuple[int, ...], int]:
    """The colour of a page's corner, and how many colours it has in all."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    found = image.getcolors(maxcolors=1 << 24) or []
    corner = image.getpixel((2, 2))
    assert isinstance(corner, tuple)
    return corner, len(found)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A report as a file."""
    path = tmp_path / "report.html"
    path.write_text(render(read_report_data(finished_run(tmp_path / "a.refire", proof=CLEAN)), NOW))
    return path


async def test_it_opens_and_can_be_read(tmp_path: Path, written: Path) -> None:
    """No error, no request; seven plots as wide as the page; other colours in the dark; pages to print."""
    async with browser_page(tmp_path) as page:
        await page.open(written)
        light, many = colours(await page.screenshot())
        await page.prefer("dark")
        dark, many_in_the_dark = colours(await page.screenshot())
        await page.prefer("dark", "print")
        paper, _ = colours(await page.screenshot())
        printed = await page.pdf()
        widths = await page.evaluate(
            "[...document.querySelectorAll('svg[role]')].map(s => s.getBoundingClientRect().width)"
        )
        labels = await page.evaluate(
            "[...document.querySelectorAll('svg text')].filter(t => t.getBBox().width > 0).length"
        )
        overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert (page.errors, page.requests) == ([], [])
    assert (light, dark, paper) == ((255, 255, 255), (20, 24, 31), (255, 255, 255))
    assert many > 100
    assert many_in_the_dark > 100
    assert len(widths) == 7
    assert min(widths) > 800
    assert len(set(widths)) == 1
    assert labels > 40
    assert overflow <= 0
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") >= 2


BROKEN_WORDS = """
(() => {
  const broken = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const word of node.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const tops = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
      if (tops.size > 1) broken.push(word[0]);
    }
  }
  return broken;
})()
"""
"""Returns the words that are broken across lines."""


@pytest.mark.parametrize(
    ("width", "media"), [(390, "screen"), (320, "screen"), (1100, "screen"), (700, "print")]
)
async def test_no_word_is_broken(tmp_path: Path, written: Path, width: int, media: str) -> None:
    """On a phone nothing exceeds the page (wide tables scroll on their own), and text keeps its size."""
    async with browser_page(tmp_path, width=width, height=800) as page:
        await page.open(written)
        await page.prefer("light", media)
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert await page.evaluate(BROKEN_WORDS) == []
        sizes = await page.evaluate(
            "[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height).filter(h => h)"
        )
        assert min(sizes) >= 11
        apart = await page.evaluate(
            "[...document.querySelectorAll('svg[role]')].every(s => { const t = [...s.querySelectorAll("
            "'text[y]')].filter(t => !t.hasAttribute('dy') && t.getBoundingClientRect().width); return t.slice(1)"
            ".every((u, n) => u.getBoundingClientRect().left >= t[n].getBoundingClientRect().right); })"
        )
        assert apart, "labels of the time axis do not touch"


async def test_the_browser_reports_errors(tmp_path: Path) -> None:
    """A script that fails and a foreign picture are reported: the checks above can fail."""
    path = tmp_path / "bad.html"
    path.write_text("<script>nothing.there()</script><img src='http://127.0.0.1:9/picture.png'><b>text</b>")
    async with browser_page(tmp_path) as page:
        await page.open(path)
        assert any("nothing is not defined" in error for error in page.errors)
        assert page.requests == ["http://127.0.0.1:9/picture.png"]
