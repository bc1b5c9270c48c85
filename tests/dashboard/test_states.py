"""Pages without data: servers that are away from the start, an installation without a trade; tokens
on other addresses; and the command's messages."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.commands.dashboard import dashboard
from app.kafka import topics
from app.settings import Settings
from app.storage.migrate import migrate
from tests.dashboard.site import running, wait

PAGES = ("/", "/overrides", "/ask", "/what-if", "/health")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_without_servers_every_page_says_what_is_away(tmp_path: Path) -> None:
    settings = Settings(
        broker="127.0.0.1:1", database_url="postgresql://nobody:s3cret@127.0.0.1:1/none"
    )
    with running(settings, tmp_path, "--audit", str(tmp_path / "none.json")) as site:
        wait(lambda: "PostgreSQL is away" in site.get("/")[2], 60, "notice")
        wait(lambda: "Kafka is away" in site.get("/")[2], 60, "notice")
        for page in PAGES:
            status, _, text = site.get(page)
            assert status == 200
            assert "Nothing has been read from it yet" in text
            assert "s3cret" not in text
        wait(lambda: "Cannot be read." in site.get("/overrides")[2], 60, "state")
        wait(lambda: "There is no audit yet" in site.get("/")[2], 60, "word on the audit")
        (tmp_path / "none.json").write_text("{}")
        wait(lambda: "is not an audit" in site.get("/")[2], 60, "trouble with the audit")
        answer = json.loads(site.get("/api/resolve?pattern=a.b&category=entry")[2])
        assert (answer["multiplier"], answer["reason"], answer["age_s"]) == (1.0, "not_ready", None)
        assert "being read" in site.get("/ask?pattern=a.b&category=entry")[2]
        status, _, text = site.get("/overrides/abc/behind", x_fragment="1")
        assert (status, "Try again" in text, "<html" in text) == (503, True, False)
    assert "s3cret" not in site.log.read_text()


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_an_empty_installation_says_what_to_do_and_a_token_is_asked_for(
    stack_settings: Settings, tmp_path: Path
) -> None:
    settings = replace(stack_settings)
    asyncio.run(topics.create(settings))
    asyncio.run(migrate(settings.database_url, settings.database_schema))
    token = tmp_path / "token"
    token.write_text("a-token-of-the-test\n")
    with running(settings, tmp_path, "--host", "0.0.0.0", "--token-file", str(token)) as site:
        assert "a-token-of-the-test" not in site.log.read_text()
        for path in (*PAGES, "/api/resolve", "/events", "/static/dashboard.js"):
            assert site.get(path)[0] == 401
            assert site.get(path + "?token=wrong")[0] == 401
        assert site.get("/healthz")[0] == 200
        bearer = {"authorization": "Bearer a-token-of-the-test"}
        status, headers, _ = site.get("//evil.example/?q=1&token=a-token-of-the-test")
        assert (status, headers["location"]) == (303, "/evil.example/?q=1")
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "a-token" not in cookie
        assert site.get("/", cookie=cookie.partition(";")[0])[0] == 200
        wait(lambda: not re.search("Reading|Looking", site.get("/", **bearer)[2]), 90, "state")
        overview = site.get("/", **bearer)[2]
        for expected in ("Nothing yet", "No worker", "No closed trade names an override",
                     "No audit was given", "Nothing has been published"):  # fmt: skip
            assert expected in overview, expected
        assert "There is no override" in site.get("/overrides", **bearer)[2]
        assert "There is no replay" in site.get("/what-if", **bearer)[2]
        assert "Every close could be read" in site.get("/health", **bearer)[2]
        assert "The neutral size" in site.get("/ask?pattern=a.b&category=entry", **bearer)[
            2
        ].replace(": the neutral", ": The neutral")
        assert "not in force" in site.get("/overrides/abc", **bearer)[2]


def test_the_command_says_what_it_cannot_do(tmp_path: Path) -> None:
    def failed(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(dashboard, list(words), env={"EDGELOOP_BROKER": "127.0.0.1:1"})
        return result.exit_code, result.stderr

    short = tmp_path / "token"
    short.write_text("short")
    assert failed("--token-file", str(short))[0] == 2
    assert failed("--host", "no.such.host.invalid")[0] == 3
    assert failed("--port", "70000")[0] == 2
    output = CliRunner().invoke(dashboard, ["--help"]).output
    assert output.count("faust -A app dashboard") >= 4
