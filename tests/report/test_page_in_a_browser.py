"""The report in headless Chromium: it opens without an error or a request, in light, in dark and on paper."""

import io
from pathlib import Path

import pytest
from PIL import Image

from refire_async.model.proof import Tally
from refire_async.report.page.dossier import read_dossier
from refire_async.report.page.page import render
from tests.report.runs import finished_run
from tests.report.test_page import NOW
from tests.support.chromium import browser_page

CLEAN = Tally(expected=59_990, once=59_990)


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
    path.write_text(render(read_dossier(finished_run(tmp_path / "a.refire", proof=CLEAN)), NOW))
    return path


async def test_it_opens_and_can_be_read(tmp_path: Path, written: Path) -> None:
    """No error, no request; six plots with text as wide as the page; other colours in the dark; pages to print."""
    async with browser_page(tmp_path) as page:
        await page.open(written)
        light, many = colours(await page.screenshot())
        await page.prefer("dark")
        dark, many_in_the_dark = colours(await page.screenshot())
        await page.prefer("dark", "print")
        paper, _ = colours(await page.screenshot())
        printed = await page.pdf()
        widths = await page.evaluate(
            "[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width)"
        )
        labels = await page.evaluate(
            "[...document.querySelectorAll('svg text')].filter(t => t.getBBox().width > 0).length"
        )
        overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert (page.errors, page.requests) == ([], [])
    assert (light, dark, paper) == ((255, 255, 255), (20, 24, 31), (255, 255, 255))
    assert many > 100
    assert many_in_the_dark > 100
    assert len(widths) == 6
    assert min(widths) > 800
    assert labels > 40
    assert overflow <= 0
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") >= 2


async def test_it_fits_a_narrow_screen(tmp_path: Path, written: Path) -> None:
    """On a telephone nothing stands out of the page: wide tables scroll by themselves."""
    async with browser_page(tmp_path, width=390, height=800) as page:
        await page.open(written)
        assert await page.evaluate("innerWidth") < 600
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


async def test_the_browser_tells_what_is_wrong(tmp_path: Path) -> None:
    """A page with a script that fails and a picture from outside is found out: the checks above can fail."""
    path = tmp_path / "bad.html"
    path.write_text("<script>nothing.there()</script><img src='http://127.0.0.1:9/picture.png'><b>text</b>")
    async with browser_page(tmp_path) as page:
        await page.open(path)
        assert any("nothing is not defined" in error for error in page.errors)
        assert page.requests == ["http://127.0.0.1:9/picture.png"]
