"""The pages in a Chromium, with a worker that has learned: contents, hostile names, screens,
axe-core, and servers that stop and start while a page is open.

The module has a stack of its own, because it stops and starts it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from app.devstack import StackInfo, down, temporary_stack, up
from app.devstack.kafka import Kafka
from app.devstack.postgres import Postgres
from app.kafka.producer import Producer
from app.kafka.records import published
from edgeloop.identity import slice_id
from edgeloop.overrides import Override
from edgeloop.scope import canonical_text
from schemas import kinds
from tests.browser import browser_path
from tests.dashboard.site import ROOT, Site, running, wait
from tests.explain.making import override
from tests.pipeline.installation import Installation
from tests.pipeline.planted import DAYS, Log
from tests.pipeline.trades import START, Close
from tests.report.test_page import ARGUMENTS

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(600)]

NOW = datetime.now(UTC)
HOSTILE = (
    "<script>document.title='taken'</script>",
    "\"'><img src=x onerror=\"document.title='taken'\">",
    "\u001b[31mred {{ 7*7 }} \u202e",
)
SETTINGS = {"n_min": 15, "max_dims": 2, "window_days": 60.0, "partitions": 2}
PATHS = ("/", "/overrides", "/ask", "/what-if", "/health")


@dataclass
class World:
    """A stack, an installation on it, and its dashboard."""

    stack: StackInfo
    installation: Installation
    site: Site
    strongest: Override
    evil: list[Override]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("dashboard")
    with temporary_stack(folder / "stack") as stack:
        installation = Installation.on(stack.broker, stack.database_url, folder, **SETTINGS)
        try:
            installation.start_ready(1, 120)
            installation.produce(_closes())
            installation.until_idle(180)
            _replay(installation)
            # Its owner would retire an override that it did not publish.
            installation.terminate_all()
            evil = [_evil(i, value) for i, value in enumerate(HOSTILE)]
            asyncio.run(_publish(installation, evil))
            with running(installation.settings, folder) as site:
                wait(lambda: evil[0].override_id in site.get("/overrides?q=evil")[2], 120, "book")
                size = max(_published(installation), key=lambda o: (abs(o.effect), o.override_id))
                yield World(stack, installation, site, size, evil)
        finally:
            installation.kill_all()
            down(folder / "stack")


def _closes() -> list[Close]:
    """A log with a planted effect that ends now; some of its trades name overrides, and some closes
    cannot be read."""
    shift = (NOW - START).days - DAYS
    trades = [replace(t, day=t.day + shift) for t in Log(seed=7).trades(500)]
    closes = [replace(t.close, timestamp_ms=round(NOW.timestamp() * 1000)) for t in trades]
    named = slice_id("pm", "pm.uptrend.S1.entry", "entry", {"chain": "sol"})
    for i, close in enumerate(closes):
        event = json.loads(close.value or b"")
        if event["actions"][0]["scope"].get("chain") == "sol":
            event["actions"][0]["applied_overrides"] = [named]
            closes[i] = replace(close, value=json.dumps(event).encode())
    at = round(NOW.timestamp() * 1000)
    closes.append(Close(b"no json <script>document.title='taken'</script>", b"<b>", at))
    wrong = {"event_id": HOSTILE[0], "schema_version": 1, "trade_id": HOSTILE[1], "actions": []}
    closes.append(Close(json.dumps(wrong).encode(), HOSTILE[2].encode(), at))
    return closes


def _replay(installation: Installation) -> None:
    """A finished shadow with other settings."""
    settings = replace(installation.settings, shared_effects=False)
    faust = str(Path(sys.executable).parent / "faust")
    subprocess.run(
        [faust, "-A", "app", "replay", "run", "other", "--all", "--jobs", "1"],
        cwd=installation.directory,
        env={**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        timeout=200,
    )


def _evil(number: int, value: str) -> Override:
    """An override with hostile texts in its context, as a learner would write it."""
    scope = {"curator": value}
    key = slice_id("pm", "pm.evil.S1", "entry", scope)
    at = NOW.isoformat(timespec="seconds").replace("+00:00", "Z")
    made = override(key, 0.7 + number / 10, scope, pattern_key="pm.evil.S1")
    expires = (NOW + timedelta(days=9)).isoformat(timespec="seconds").replace("+00:00", "Z")
    return msgspec.structs.replace(made, as_of=at, expires_at=expires)


async def _publish(installation: Installation, overrides: list[Override]) -> None:
    settings = installation.settings
    producer = Producer(settings)
    try:
        await producer.send([published(settings, kinds.OVERRIDES, o, 1) for o in overrides])
    finally:
        await producer.stop()


def _published(installation: Installation) -> list[Override]:
    rows = installation.query(
        "SELECT record FROM pm_overrides_history WHERE NOT retired ORDER BY version, published_at"
    )
    newest = {row["record"]["override_id"]: row["record"] for row in rows}
    found = [msgspec.convert(record, Override) for record in newest.values()]
    in_force = {
        r["override_id"] for r in installation.query("SELECT override_id FROM pm_overrides")
    }
    return [o for o in found if o.override_id in in_force and o.scope]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = browser_path()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield opened
        opened.close()


@dataclass
class Opened:
    """A page, and its errors."""

    page: Page
    messages: list[str]


def opened(
    browser: Browser, site: Site, path: str, width: int = 1280, scheme: Any = "light"
) -> Opened:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(f"dialog {dialog.message}"))
    page.on(
        "request",
        lambda r: None if r.url.startswith(site.url) else messages.append(f"loads {r.url}"),
    )
    page.goto(site.url.rstrip("/") + path)
    filled(page)
    return Opened(page, messages)


def filled(page: Page) -> None:
    """Wait for the fragments that are fetched after the page."""
    for part in page.locator("[data-fill]").all():
        part.and_(page.locator("[aria-busy=false]")).wait_for(timeout=120_000)


def paths(world: World) -> list[str]:
    o = world.strongest
    scope = "".join(f"&scope[{d}]={quote(v)}" for d, v in o.scope.items())
    return [
        *PATHS,
        f"/overrides/{o.override_id}",
        f"/ask?pattern={o.pattern_key}&category={o.action_category}&module={o.module}{scope}",
        "/what-if/other",
        "/no-such-page",
    ]


def test_an_override_can_be_found_and_says_why_it_is_what_it_is(
    world: World, browser: Browser
) -> None:
    o = world.strongest
    made = opened(browser, world.site, "/overrides")
    page = made.page
    page.locator("input[type=search]").press_sequentially(o.override_id[:20])
    row = page.locator("#table-live tbody tr")
    page.wait_for_url(f"**/overrides?q={o.override_id[:20]}")
    row.nth(1).wait_for(state="detached", timeout=10_000)
    assert canonical_text(o.scope).split("=")[1].split("|")[0] in row.inner_text()
    row.locator("a").click()
    page.wait_for_url(f"**/overrides/{o.override_id}")
    filled(page)
    text = page.locator("main").inner_text()
    for part in (f"× {o.multiplier:.2f}", "The curve", "Trades behind it", "Trades that it sized",
                 "History", "What else was considered", f"{o.n_trades:,} trades"):  # fmt: skip
        assert part in text, part
    assert page.locator("svg.chart circle").count() > 2
    assert made.messages == []
    page.close()


def test_a_question_is_answered_as_the_position_manager_is(world: World, browser: Browser) -> None:
    o = world.strongest
    made = opened(browser, world.site, "/ask")
    page = made.page
    page.fill("input[name=pattern]", o.pattern_key)
    page.select_option("select[name=category]", o.action_category)
    for name, value in o.scope.items():
        page.fill(f'input[name="scope[{name}]"]', value)
    if o.module != "pm":
        page.fill("input[name=module]", o.module)
    page.click("form.ask button")
    page.wait_for_url("**/ask?pattern=*")
    filled(page)
    # Empty fields are not in the link.
    assert page.url.count("scope") == len(o.scope)
    answer = json.loads(world.site.get(page.url.partition("/ask")[2].join(("/api/resolve", "")))[2])
    assert answer["reason"] == "matched"
    assert f"× {answer['multiplier']:.2f}" in page.locator(".huge").inner_text()
    assert o.override_id in {m["override_id"] for m in answer["matches"]}
    parts = page.locator(".result tbody tr").count() - 2
    assert parts == len(answer["matches"])
    assert "Overrides that match" in page.locator("main").inner_text()
    assert made.messages == []
    page.close()


def test_the_interface_for_bots_is_as_its_document_says(world: World) -> None:
    status, headers, body = world.site.get("/api/openapi.json")
    document = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    operation = document["paths"]["/api/resolve"]["get"]
    names = {p["name"] for p in operation["parameters"]}
    assert names == {"pattern", "category", "scope", "module", "at", "emergency"}

    def checked(path: str, status: int) -> Any:
        found, _, text = world.site.get(path)
        assert found == status, text
        schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
        jsonschema.validate(json.loads(text), {**schema, "components": document["components"]})
        return json.loads(text)

    evil = world.evil[0]
    asked = f"/api/resolve?pattern=evil.S1&category=entry&scope[curator]={quote(HOSTILE[0])}"
    found = checked(asked, 200)
    assert (found["multiplier"], found["reason"]) == (1.7, "matched")
    assert found["matches"] == [{"override_id": evil.override_id, "contribution": evil.effect}]
    assert checked(f"{asked}&emergency=true", 200)["reason"] == "emergency"
    assert checked(f"{asked}&at=2000-01-01T00:00:00Z", 200)["multiplier"] == 1.7
    assert checked("/api/resolve?pattern=a.b&category=add", 200)["reason"] == "no_match"
    assert "category" in checked("/api/resolve?pattern=a.b&category=buy", 422)["error"]
    assert "pattern" in checked("/api/resolve?category=entry", 422)["error"]
    assert "offset" in checked(f"{asked}&at=yesterday", 422)["error"]


def test_a_replay_is_compared_with_what_is_live(world: World, browser: Browser) -> None:
    made = opened(browser, world.site, "/what-if/other")
    text = made.page.locator("main").inner_text()
    assert "would be sized differently" in text
    assert "faust -A app replay promote other" in text
    assert made.page.locator("[data-fill] tbody tr").count() > 1
    assert made.messages == []
    made.page.close()


def test_hostile_names_do_nothing(world: World, browser: Browser) -> None:
    for o, value in zip(world.evil, HOSTILE, strict=True):
        asked = f"/ask?pattern=evil.S1&category=entry&scope[curator]={quote(value)}"
        whole, part = quote(value), quote(value, safe="")
        for path in (
            f"/overrides/{o.override_id}",
            "/overrides?q=evil",
            asked,
            "/overrides?by=curator",
            f"/overrides?q={whole}",
            f"/ask?scope[{whole}]={whole}",
            f"/what-if/{part}",
            f"/overrides/{part}",
        ):
            made = opened(browser, world.site, path)
            assert made.page.title() != "taken"
            assert made.page.locator("main script, main img, main [onerror]").count() == 0
            refused = [s for s in made.messages if "status of 503" not in s and "of 404" not in s]
            assert refused == [], path
            made.page.close()
    page = opened(browser, world.site, "/overrides?q=evil").page
    assert HOSTILE[0] in page.locator("#table-live").inner_text()
    page.close()
    health = opened(browser, world.site, "/health")
    for letter in health.page.locator("details.letter summary").all():
        letter.click()
    marked = health.page.locator("details.letter mark").all_inner_texts()
    assert any("not_json" in line for line in marked)
    assert HOSTILE[0] in health.page.locator("#letters-live").inner_text().replace('\\"', '"')
    assert (health.messages, health.page.locator("main script").count()) == ([], 0)
    health.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.long
def test_every_page_fits_and_is_accessible(
    width: int, scheme: Any, world: World, browser: Browser
) -> None:
    wait(lambda: "Reading" not in world.site.get("/")[2], 120, "overview")
    for path in paths(world):
        made = opened(browser, world.site, path, width, scheme)
        page = made.page
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
        found = Axe().run(page)
        problems = [
            (v["id"], [n["html"][:150] for n in v["nodes"]][:3])
            for v in found.response["violations"]
        ]
        assert problems == [], path
        assert [s for s in made.messages if "of 404" not in s] == [], path
        page.close()


def test_what_never_was_is_said_once_and_is_no_trouble(world: World, browser: Browser) -> None:
    status, _, text = world.site.get("/overrides/abc/behind", x_fragment="1")
    assert (status, "No override ever published" in text, "Try again" in text) == (404, True, False)
    assert "empty away" not in text
    assert world.site.get("/ask/why?pattern=a.b&category=buy", x_fragment="1")[0] == 422
    page = opened(browser, world.site, "/overrides/abc").page
    assert page.locator("h1").count() == 1
    assert page.locator("[data-fill]").get_attribute("data-failed") == ""
    page.close()


def test_the_keyboard_reaches_everything(world: World, browser: Browser) -> None:
    page = opened(browser, world.site, "/overrides").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
    assert {"A", "INPUT", "SELECT", "BUTTON"} <= reached
    page.close()


def test_pages_are_served_with_a_strict_policy_and_change_nothing(world: World) -> None:
    for path in paths(world):
        _, headers, _ = world.site.get(path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    assert world.site.get("/", host="evil.example")[0] == 421
    assert world.site.get("/", host="localhost:1")[0] == 200
    text = "".join(world.site.get(path)[2] for path in PATHS)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)
    assert not re.search(r'<script(?! src="/static/)|\sstyle="|\son\w+="', text)


@pytest.mark.long
def test_a_page_stays_readable_while_servers_stop_and_start(world: World, browser: Browser) -> None:
    page = opened(browser, world.site, "/").page
    page.locator("#pulse.live").wait_for(timeout=60_000)
    count = page.locator("#answers .big").first.inner_text()
    database = Postgres(world.stack.directory / "postgres")
    broker = Kafka(world.stack.directory / "kafka", [])
    database.stop()
    page.locator("#notice", has_text="PostgreSQL is away").wait_for(timeout=90_000)
    assert page.locator("#answers .big").first.inner_text() == count
    broker.stop()
    page.locator("#notice", has_text="Kafka is away").wait_for(timeout=120_000)
    assert page.locator("#answers .big").first.inner_text() == count
    assert "away" in page.locator("#q-alive ~ .big").inner_text()
    # A page that is opened now shows the same; a question says that the answer is uncertain.
    for path in paths(world)[:5]:
        status, _, text = world.site.get(path)
        assert (status, "last known" in text) == (200, True), path
    wait(
        lambda: (
            json.loads(world.site.get("/api/resolve?pattern=a.b&category=add")[2])["reason"]
            == "stale"
        ),
        120,
        "stale answer",
    )
    up(world.stack.directory, die_with_parent=True)
    page.locator("#pulse.live").wait_for(timeout=120_000)
    page.locator("#notice .notice").first.wait_for(state="detached", timeout=60_000)
    assert page.locator("#answers .big").first.inner_text() == count
    page.close()
