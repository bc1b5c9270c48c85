"""The audit from a file to a finished page, as somebody would do it: the command, then a browser on a wide and a narrow screen."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, sync_playwright

from app.commands.audit import audit
from tests.audit.making import market

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
ENVIRONMENT = {"EDGELOOP_N_MIN": "20", "EDGELOOP_DIMENSIONS": "chain,btc_macro", "EDGELOOP_BROKER": "127.0.0.1:1"}
"""Of a broker there is none: an audit of files needs none."""


def closes(path: Path, n: int = 500, broken: int = 2) -> Path:
    """A log with an edge that fades on {chain=0}, two of whose lines cannot be read."""
    with path.open("wb") as file:
        for f in market(1, n=n, edge=lambda day: 3.0 * 2 ** (-day / 60)):
            action = f.actions[0]
            scope = {"chain": action.scope["d0"], "btc_macro": f"S{action.scope['d1']}"}
            file.write(
                orjson.dumps(
                    {
                        "event_id": f"e-{f.trade_id}", "schema_version": 1, "module": "pm", "trade_id": f.trade_id,
                        "trade_summary": {"exit_timestamp": f.exit_ts, "rr": f.rr},
                        "actions": [{"ts": action.ts, "pattern_key": "pm.a<b>.c", "action_category": "entry", "scope": scope}],
                    }
                ) + b"\n"
            )  # fmt: skip
        file.write(b'{"event_id": "<script>"}\n' * broken)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The page and the document of one run of the command in a process of its own, on two processes."""
    folder = tmp_path_factory.mktemp("audit")
    page = folder / "audit.html"
    words = [str(closes(folder / "closes.jsonl")), "--cuts", "4", "--placebos", "4", "--jobs", "2", "--html", str(page), "--json"]
    run = subprocess.run(
        [str(Path(sys.executable).parent / "faust"), "-A", "app", "audit", *words],
        cwd=ROOT, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return page, json.loads(run.stdout)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    assert found, f"The page is looked at in a Chromium, and there is none: install one of {', '.join(BROWSERS)}."
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield opened
        opened.close()


def test_the_document_has_all_its_keys(made: tuple[Path, dict[str, Any]]) -> None:
    _, document = made
    described = (ROOT / "docs" / "audit.md").read_text()
    keys = set(re.findall(r"^\| `(\w+)` \|", described[described.index("## The document") :], re.MULTILINE))
    assert set(document) == keys
    assert document["data"]["refused"] == [
        {"reason": "missing_field", "count": 2, "first": document["data"]["refused"][0]["first"]}
    ]  # fmt: skip
    assert document["data"]["trades"] == 500
    assert [len(s["placebo"]["counts"]) for s in document["settings"] if s["placebo"]] == [4, 4]
    assert {q["answer"] for q in document["questions"]} <= {"yes", "no", "not enough data"}
    assert document["edge"]
    assert [s["variable"] for s in document["switches"]] == [
        "EDGELOOP_LEARNING", "EDGELOOP_HALF_LIFE", "EDGELOOP_REGIME_WEIGHTS", "EDGELOOP_LATENT_FACTORS",
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(width: int, scheme: Any, made: tuple[Path, dict[str, Any]], browser: Browser) -> None:
    path, document = made
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for question in document["questions"]:
        card = page.locator("article", has_text=question["question"])
        assert card.is_visible()
        assert card.locator(".badge").inner_text().lower() == question["answer"]
        assert card.bounding_box()["width"] <= width  # type: ignore[index]
    assert page.locator("h2").first.inner_text() == "Answers"
    assert page.locator("svg.plot").count() >= 6
    assert page.locator("svg:not([aria-label])").count() == 0
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('svg') && !e.closest('.scroll')"
        " && e.getBoundingClientRect().right > innerWidth + 1).length"
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
  const light = c => { const [r, g, b] = parse(c).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                       return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor, p = parse(c);
                        if (p.length < 4 || p[3] > 0) return c; } return "rgb(255, 255, 255)"; };
  let least = 21;
  for (const e of document.querySelectorAll("p, td, th, li, dt, dd, span, h1, h2, h3, summary, code, strong")) {
    const a = light(getComputedStyle(e).color), b = light(ground(e));
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return least;
}"""


def test_the_page_stands_alone_and_shows_names_as_they_are(made: tuple[Path, dict[str, Any]]) -> None:
    text = made[0].read_text()
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "@import" not in text
    assert "<script" not in text
    assert "pm.a&lt;b&gt;.c" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_tables_on_the_terminal_end_with_the_answers(tmp_path: Path) -> None:
    path = closes(tmp_path / "closes.jsonl", n=300)
    words = [str(path), "--cuts", "2", "--placebos", "0", "--jobs", "1"]
    result = CliRunner().invoke(audit, words, env=ENVIRONMENT)
    assert result.exit_code == 0, result.output
    places = [
        result.stdout.index(text)
        for text in ("2 closes were refused", "Walk forward", "Answers", "1. Do you need", "3. Do you have", "What to set")
    ]
    assert places == sorted(places)
    assert "EDGELOOP_REGIME_WEIGHTS=on" in result.stdout
    again = CliRunner().invoke(audit, words, env=ENVIRONMENT)
    assert again.stdout == result.stdout


def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path: Path) -> None:
    def failed(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(audit, list(words), env=ENVIRONMENT)
        return result.exit_code, result.stderr

    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"event_id": "e"}\n')
    good = closes(tmp_path / "closes.jsonl", n=40)
    assert failed(str(broken))[0] == 5
    assert "All closes were refused" in failed(str(broken))[1]
    code, said = failed(str(good), "--module", "xm")
    assert (code, "There are: pm" in said) == (2, True)
    assert failed(str(tmp_path / "none.jsonl"))[0] == 2
    assert failed("--from", "jsonl")[0] == 2
    assert failed()[0] == 4  # the log, without a broker
    assert failed(str(good), "--cuts", "2", "--placebos", "0", "--jobs", "1", "--html", str(tmp_path / "no" / "page.html"))[0] == 2


def test_help_has_examples() -> None:
    result = CliRunner().invoke(audit, ["--help"])
    assert result.exit_code == 0
    assert result.output.count("faust -A app audit") >= 4


def test_without_matplotlib_the_page_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith(("matplotlib", "app.report.pl", "app.report.pa"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = CliRunner().invoke(
        audit, [str(closes(tmp_path / "closes.jsonl", n=40)), "--html", str(tmp_path / "page.html")], env=ENVIRONMENT
    )
    assert result.exit_code == 3
    assert "edgeloop[report]" in result.stderr
