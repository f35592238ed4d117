"""The page as a browser shows it: whole, readable in light and dark, on a phone and on paper, with no complaints."""

from pathlib import Path

import pytest

from llmbatch_cli.report.page import page
from report.chromium import Browser
from report.pictures import read_png, size_of
from report.report_samples import SAMPLES

pytest_plugins = ["report.chromium"]
pytestmark = pytest.mark.timeout(60, func_only=True)

SECTIONS = ["progress", "throughput", "latency", "errors", "cost", "slowest", "shards", "question"]
_PHONE, _SCREEN = 390, 1280
_VISIBLE = "[...document.querySelectorAll('section[id]')].filter(s => s.checkVisibility() && s.offsetHeight > 60)"
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def _written(folder: Path, sample: str = "busy") -> Path:
    file = folder / "report.html"
    file.write_text(page(*SAMPLES[sample](folder)), encoding="utf-8")
    return file


@pytest.mark.parametrize("width", [_PHONE, _SCREEN])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_sections_show_in_both_themes(browser: Browser, tmp_path: Path, theme: str, width: int) -> None:
    with browser.page(width, theme) as shown:
        shown.open(_written(tmp_path))
        assert shown.value(f"{_VISIBLE}.map(s => s.id)") == SECTIONS
        assert shown.value(_OVERFLOW) == 0
        found_width, height = size_of(shown.picture())
        assert found_width == width
        assert height > 3000
        bright = sorted(read_png(shown.picture(scale=0.1)).luminances())
        assert shown.complaints() == []
    middle = bright[len(bright) // 2]
    assert middle > 0.9 if theme == "light" else middle < 0.15
    assert bright[-1] - bright[0] > 0.4


@pytest.mark.parametrize("width", [_PHONE, _SCREEN])
@pytest.mark.parametrize("sample", SAMPLES)
def test_nothing_is_wider_than_the_page_and_nothing_complains(
    browser: Browser, tmp_path: Path, sample: str, width: int
) -> None:
    with browser.page(width) as shown:
        shown.open(_written(tmp_path, sample))
        assert shown.value(_OVERFLOW) == 0
        assert shown.value(f"{_VISIBLE}.length") == len(SECTIONS)
        assert shown.complaints() == []


def test_what_tries_to_be_markup_makes_no_elements(browser: Browser, tmp_path: Path) -> None:
    with browser.page() as shown:
        shown.open(_written(tmp_path, "hostile"))
        assert shown.value("document.querySelectorAll('img, iframe, a, [onerror]').length") == 0
        assert shown.value("document.scripts.length + document.styleSheets.length") == 2
        assert "onerror=alert(1)" in shown.value("document.querySelector('#slowest tbody th').textContent")
        assert shown.complaints() == []


def test_the_button_changes_the_theme(browser: Browser, tmp_path: Path) -> None:
    with browser.page(theme="light") as shown:
        shown.open(_written(tmp_path, "one item"))
        color = "getComputedStyle(document.body).backgroundColor"
        light = shown.value(color)
        shown.value("document.getElementById('theme').click()")
        dark = shown.value(color)
        shown.value("document.getElementById('theme').click()")
        assert shown.value(color) == light != dark


def test_values_show_under_the_pointer(browser: Browser, tmp_path: Path) -> None:
    with browser.page() as shown:
        shown.open(_written(tmp_path))
        box = shown.value("document.querySelector('#progress .canvas').getBoundingClientRect().toJSON()")
        shown.move_to(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tip = shown.value("document.querySelector('#progress .tip').innerText")
        assert "succeeded" in tip
        assert "of 1,200" in tip
        assert shown.complaints() == []


def test_on_paper_it_is_light_and_open(browser: Browser, tmp_path: Path) -> None:
    with browser.page(theme="dark", media="print") as shown:
        shown.open(_written(tmp_path))
        shown.value("dispatchEvent(new Event('beforeprint'))")
        assert shown.value("document.querySelectorAll('details:not([open])').length") == 0
        bright = sorted(read_png(shown.picture(scale=0.1)).luminances())
    assert bright[len(bright) // 2] > 0.95
