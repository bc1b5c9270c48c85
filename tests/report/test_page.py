"""The audit from a file to a finished page, as a user would do it: the command, then a browser with
a wide and a narrow screen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from app.report.explained import EXPLAINED
from tests.browser import browser_path
from tests.report.making import ENVIRONMENT, closes

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The page and the document of one run of the command in a process of its own, on two
    processes."""
    folder = tmp_path_factory.mktemp("audit")
    page = folder / "audit.html"
    words = [
        str(closes(folder / "closes.jsonl")),
        "--cuts",
        "4",
        "--placebos",
        "4",
        "--jobs",
        "2",
        "--html",
        str(page),
        "--json",
    ]
    run = subprocess.run(
        [str(Path(sys.executable).parent / "faust"), "-A", "app", "audit", *words],
        cwd=ROOT, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return page, json.loads(run.stdout)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = browser_path()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield opened
        opened.close()


def test_the_document_has_all_its_keys(made: tuple[Path, dict[str, Any]]) -> None:
    _, document = made
    described = (ROOT / "docs" / "audit.md").read_text()
    keys = set(
        re.findall(r"^\* `(\w+)`:", described[described.index("## The document") :], re.MULTILINE)
    )
    assert set(document) == keys
    assert document["data"]["refused"] == [
        {"reason": "missing_field", "count": 2, "first": document["data"]["refused"][0]["first"]}
    ]  # fmt: skip
    assert document["data"]["trades"] == 500
    assert [len(s["placebo"]["counts"]) for s in document["settings"] if s["placebo"]] == [4, 4]
    assert {q["answer"] for q in document["questions"]} <= {"yes", "no", "not enough data"}
    assert document["edge"]
    assert [s["variable"] for s in document["switches"]] == [
        "EDGELOOP_LEARNING",
        "EDGELOOP_HALF_LIFE",
        "EDGELOOP_REGIME_WEIGHTS",
        "EDGELOOP_LATENT_FACTORS",
        "EDGELOOP_SHARED_EFFECTS",
    ]
    assert {s["recommended"] for s in document["switches"][1:]} <= {"auto", "on", "off"}
    assert [p["name"] for p in document["peers"]] == ["group means", "ridge"]
    assert [(w["module"], w["category"]) for w in document["weights"]] == [("pm", "entry")]
    assert all(
        0.0 <= w[name] <= 1.0
        for w in document["weights"]
        for name in ("half_life", "shared_effects", "opened")
    )
    assert document["headline"].count(". ") >= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(
    width: int, scheme: Any, made: tuple[Path, dict[str, Any]], browser: Browser
) -> None:
    path, document = made
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on(
        "request",
        lambda request: messages.append(request.url) if request.url != path.as_uri() else None,
    )
    page.goto(path.as_uri())
    assert messages == []
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    listed = len(document["overrides"])
    assert page.locator("details.behind .explain").count() == min(listed, EXPLAINED) > 0
    assert "What else was considered" in page.locator(".explain").first.inner_text()
    for question in document["questions"]:
        card = page.locator("article", has_text=question["question"])
        assert card.is_visible()
        assert card.locator(".badge").inner_text().lower() == question["answer"]
        assert card.bounding_box()["width"] <= width  # type: ignore[index]
    assert page.locator("h2").first.inner_text() == "Answers"
    assert page.locator("svg.plot").count() >= 6
    assert page.locator("svg:not([aria-label])").count() == 0
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('svg') &&"
        " !e.closest('.scroll, .explain-scroll') && e.getBoundingClientRect().right > innerWidth +"
        " 1).length"
    )
    assert wide == 0
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == {"light": "rgb(244, 245, 247)", "dark": "rgb(15, 18, 24)"}[scheme]
    )
    least = page.evaluate(CONTRAST)
    assert least >= 4.5, "Some text has too little contrast with its ground."
    page.close()


CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => {
    const [r, g, b] = parse(c).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor, p = parse(c);
      if (p.length < 4 || p[3] > 0) return c;
    }
    return "rgb(255, 255, 255)";
  };
  let least = 21;
  const texts = "p, td, th, li, dt, dd, span, h1, h2, h3, summary, code, strong";
  for (const e of document.querySelectorAll(texts)) {
    const a = light(getComputedStyle(e).color), b = light(ground(e));
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return least;
}"""


def test_the_page_stands_alone_and_shows_names_as_they_are(
    made: tuple[Path, dict[str, Any]],
) -> None:
    text = made[0].read_text()
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "@import" not in text
    assert "<script" not in text
    table = text[text.index('aria-label="Settings, walked forward"') :]
    assert (
        table.index(">no shared effects<")
        < table.index(">What simple tools would have made<")
        < table.index(">group means<")
    )
    assert "Weights of learners" in text
    assert "pm.a&lt;b&gt;.c" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
