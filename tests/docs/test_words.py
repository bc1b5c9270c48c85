"""The documentation matches the code: settings, topics, tables, reasons, metrics, exit codes, files
and tests."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

import app.commands
from app import errors
from app.closes import REASONS
from app.commands.base import cli
from app.kafka import topics
from app.settings import OTHER_VARIABLES, PREFIX, Settings
from app.storage.migrate import migrations
from edgeloop.resolution import MAX_MULTIPLIER, MIN_MULTIPLIER, Resolution
from edgeloop.scope import DEFAULT_DIMENSIONS
from tests.docs.markdown import (
    DOCUMENTS,
    ROOT,
    Block,
    anchors,
    blocks,
    links,
    names,
    prose,
    table,
    tables,
)

app.commands.load()

README, DATA, RUNTIME, OPERATIONS, GUARANTEES = (
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("data", "runtime", "operations", "guarantees")),
)


def _shown(value: Any) -> str:
    if value is None:
        return "auto"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_settings_are_all_in_the_readme_with_their_defaults() -> None:
    rows = table(README, "name", "default", "meaning")
    assert {names(name)[0] for name, _, _ in rows} == {
        PREFIX + field.name.upper() for field in fields(Settings)
    }
    assert len(rows) == len(fields(Settings))
    for name, default, meaning in rows:
        value = _shown(getattr(Settings(), names(name)[0].removeprefix(PREFIX).lower()))
        if names(name) == ["EDGELOOP_DIMENSIONS"]:
            assert default == f"[these {len(DEFAULT_DIMENSIONS)}](docs/data.md#scope)"
        else:
            assert default == (f"`{value}`" if value else ""), name
        assert meaning


def test_the_last_settings_are_those_of_one_worker() -> None:
    """The README says that all settings above EDGELOOP_AGENTS must be the same everywhere."""
    words = " ".join(prose(README).split())
    assert "except `EDGELOOP_AGENTS`, the settings after it in the table" in words
    last = [names(row[0])[0] for row in table(README, "name", "default", "meaning")]
    last = last[last.index("EDGELOOP_AGENTS") :]
    assert sorted(last) == [
        "EDGELOOP_AGENTS",
        "EDGELOOP_BROKER_AWAY_S",
        "EDGELOOP_LESSONS_PER_SECOND",
        "EDGELOOP_LOG_FORMAT",
        "EDGELOOP_METRICS_HOST",
        "EDGELOOP_METRICS_PORT",
        "EDGELOOP_REWRITE_ALERT",
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_no_other_variable_is_named(document: Path) -> None:
    known = {PREFIX + field.name.upper() for field in fields(Settings)} | OTHER_VARIABLES
    assert set(re.findall(r"EDGELOOP_[A-Z_]+[A-Z]", document.read_text())) <= known


def test_the_dimensions_are_the_default_ones() -> None:
    section = DATA.read_text().split("### Scope")[1].split("Other keys are ignored")[0]
    assert tuple(names(section)[1:]) == DEFAULT_DIMENSIONS


def test_the_topics_are_those_that_are_created() -> None:
    declared = {topic.name: topic for topic in topics.declaration(Settings())}
    rows = table(DATA, "topic", "key", "partition", "policy", "kept")
    assert [names(row[0])[0] for row in rows] == list(declared)
    for name, _, _, policy, kept in rows:
        config = declared[names(name)[0]].config
        assert config["cleanup.policy"] == policy
        if "delete" in policy.split(","):
            assert kept == f"{int(config['retention.ms']) // 86_400_000} days"
        else:
            assert "retention.ms" not in config


def test_the_tables_are_those_of_the_migrations() -> None:
    columns = {
        match[1]: set(re.findall(r"^    (\w+)\s", match[2], flags=re.MULTILINE)) - {"PRIMARY"}
        for migration in migrations()
        for match in re.finditer(
            r"CREATE TABLE (\w+) \((.*?)^\);", migration.sql, flags=re.DOTALL | re.MULTILINE
        )
    }
    rows = table(DATA, "table", "a row is", "columns to rely on")
    assert sorted(names(row[0])[0] for row in rows) == sorted(columns)
    for name, _, promised in rows:
        if promised != "the fields of the override record":
            assert set(names(promised)) <= columns[names(name)[0]], name


def test_the_reasons_of_dead_letters_are_the_doors() -> None:
    assert {names(reason)[0]: meaning for reason, meaning in table(DATA, "reason", "")} == REASONS


def test_the_reasons_of_resolve_are_the_functions() -> None:
    rows = table(RUNTIME, "`reason`", "multiplier", "when")
    sentence = " ".join((Resolution.__doc__ or "").split())
    listed = re.search(r"`reason`: (.*?) \(", sentence)
    assert listed is not None
    assert {names(row[0])[0] for row in rows} == set(re.split(r", | or ", listed[1]))
    assert {row[1] for row in rows} == {"1.0", f"{MIN_MULTIPLIER} to {MAX_MULTIPLIER}"}


def test_the_metrics_are_those_that_are_served() -> None:
    """In a process of its own, so that metrics of other tests are not included."""
    program = (
        "from app import metrics; import prometheus_client as p;"
        " print(p.generate_latest().decode())"
    )
    served = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    kinds = dict(re.findall(r"^# TYPE (edgeloop_\w+) (\w+)$", served, flags=re.MULTILINE))
    ours = {name for name in kinds if not name.endswith("_created")}
    documented = [name for row in table(OPERATIONS, "metric", "meaning") for name in names(row[0])]
    assert sorted(documented) == sorted(ours)


def test_the_exit_codes_are_the_errors() -> None:
    from app.worker import end_process

    raised = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.EdgeloopError)
    }
    documented = {int(row[0]) for row in table(OPERATIONS, "code", "of", "meaning")}
    assert documented == raised | {0, end_process.EXIT_FATAL, end_process.EXIT_STOP_HUNG}


def test_every_guarantee_names_a_test_that_exists() -> None:
    sections = tables(GUARANTEES, "claim", "run it: `.venv/bin/python -m pytest …`")
    rows = [row for section in sections for row in section]
    assert len(rows) > 30
    for claim, cell in rows:
        (name,) = names(cell)
        assert _test_exists(name), f"{claim}: {name}"


def _test_exists(name: str) -> bool:
    path, _, function = name.partition("::")
    file = ROOT / path
    if not function:
        return (file.is_dir() and any(file.glob("test_*.py"))) or (
            file.is_file() and file.name.startswith("test_")
        )
    return file.is_file() and any(
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function
        for node in ast.parse(file.read_text()).body
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in links(document):
        assert not link.startswith(("http:", "https:")), (
            f"{link}: what is elsewhere is named, not linked"
        )
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_document_is_linked_from_the_readme() -> None:
    linked = {(README.parent / link.partition("#")[0]).resolve() for link in links(README)}
    assert set(DOCUMENTS[1:]) <= linked


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_files_and_names_in_backticks_exist(document: Path) -> None:
    rooms = (
        "app/",
        "agents/",
        "edgeloop/",
        "schemas/",
        "samples/",
        "docs/",
        "tests/",
        "requirements/",
        "benchmarks/",
    )
    for name in names(prose(document)):
        if name.startswith(rooms) and "::" not in name:
            assert (ROOT / name).exists(), name
        elif re.fullmatch(
            r"(app|schemas|edgeloop(?!\.projector|\.log$|\.lost$|\.\w+\.done))"
            r"\.[a-z_.]+(\([\w, ]*\))?",
            name,
        ):
            _resolve(name.partition("(")[0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_events_of_the_log_that_are_named_are_logged(document: Path) -> None:
    source = "".join(
        file.read_text() for room in ("app", "agents") for file in (ROOT / room).rglob("*.py")
    )
    for name in names(prose(document)):
        if re.fullmatch(
            r"(worker|work|hydrate|send|output|projector|fact|lesson)\.(?!py|md)[a-z_]+", name
        ):
            assert f'"{name}"' in source, name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_commands_in_sentences_exist_with_their_options(document: Path) -> None:
    groups = "|".join(
        name for name, command in cli.commands.items() if isinstance(command, click.Group)
    )
    for name in names(prose(document)):
        if name.startswith("faust -A app ") or re.match(
            rf"(?:({groups}) [a-z]|(?:status|produce) --)", name
        ):
            _command_exists(name.removeprefix("faust -A app ").split())


def _command_exists(words: list[str]) -> None:
    """Check that the command exists, with these options; it may be a group as a whole."""
    found: click.Command = cli
    while isinstance(found, click.Group) and words:
        assert words[0] in found.commands, words
        found, words = found.commands[words[0]], words[1:]
    options = {option for parameter in found.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options, words


def _commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path}{name} ")
        elif getattr(command.callback, "__module__", "").startswith("app.commands"):
            yield path + name, command


def test_every_command_has_examples_and_json() -> None:
    commands = dict(_commands(cli))
    assert {
        "worker",
        "stack up",
        "topics create",
        "migrate",
        "produce",
        "status",
        "overrides list",
        "resolve",
        "doctor",
    } <= set(commands)
    for name, command in commands.items():
        assert "Examples:" in (command.help or ""), name
        assert (
            "--json" in {option for parameter in command.params for option in parameter.opts}
        ) == (name != "worker"), name


def _resolve(dotted: str) -> object:
    module, _, attribute = dotted.rpartition(".")
    found = importlib.import_module(module)
    return (
        getattr(found, attribute) if hasattr(found, attribute) else importlib.import_module(dotted)
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_nothing_of_the_writers_machine(document: Path) -> None:
    """No absolute path except /tmp, no address except loopback, no host name of a package registry,
    and no user's folder."""
    text = document.read_text()
    assert not re.findall(r"(?<![\w.:/])/(?:home|root|work|usr|opt|etc|var|Users)\b\S*", text)
    assert set(re.findall(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", text)) <= {"127.0.0.1"}
    assert not re.findall(r"https?://[^\s/)]+", text)


def test_make_targets_that_are_named_exist_and_those_that_exist_are_named() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named: set[str] = set()
    for document in DOCUMENTS:
        quoted = (
            "\n".join(names(prose(document)))
            + "\n"
            + "\n".join(b.text for b in blocks(document) if b.language == "sh")
        )
        found = set(re.findall(r"\bmake ([a-z-]+)", quoted))
        assert found <= targets, document.name
        named |= found
    assert targets - named == {"help"}


def test_python_versions_are_those_of_the_package() -> None:
    assert importlib.metadata.metadata("edgeloop")["Requires-Python"] == "<3.14,>=3.11"
    assert "Python 3.11 to 3.13" in README.read_text()


ELSEWHERE = {
    "faust -A app audit --json > audit.json": "tests/dashboard/test_pages.py",
    "faust -A app audit": "tests/report/test_page.py::test_the_page_in_a_browser",
    "make demo": "each installs an environment of its own and takes minutes",
    "python -m pip install ./edgeloop": (
        "tests/client/test_distribution.py::test_the_wheel_installs_alone_and_runs_the_documented_programs"
    ),
    "source .venv/bin/activate": "tests/devstack/test_stack.py::test_commands",
    "faust -A app import samples/journal.csv.gz --draft mapping.toml": (
        "tests/docs/test_blocks.py::test_a_new_users_trade_log_is_audited"
    ),
    "faust -A app stack up --dir .edgeloop/secure --secure": (
        "tests/secure/test_pipeline.py does the same in code"
    ),
    "docker compose --profile monitoring up --build": (
        "needs Docker; tests/compose compares the file with the code"
    ),
    "docker compose up --build --scale worker=2": (
        "needs Docker; tests/compose compares the file with the code"
    ),
    "faust -A app topics accept --dry-run": (
        "tests/pipeline/test_another_log.py::test_facts_created_again_under_a_running_worker"
    ),
    "systemctl enable --now edgeloop-worker@1 edgeloop-worker@2": (
        "needs root and systemd; tests/compose compares the file with the code"
    ),
    "kubectl apply -f docs/deploy/kubernetes.yaml": (
        "needs a cluster; tests/compose compares the file with the code"
    ),
    "from edgeloop.integrations.freqtrade import EdgeloopMixin": (
        "tests/bots/real_bots.py::test_a_freqtrade_backtest_sizes_by_overrides_and_sends_its_closes"
    ),
    "from edgeloop.integrations import Connection": (
        "tests/bots/real_bots.py::test_a_nautilus_backtest_sizes_by_overrides_and_sends_its_closes"
    ),
    "faust -A app replay run now --all": "tests/replay/test_replay.py::test_the_documented_steps",
    "export EDGELOOP_HALF_LIFE=off": "tests/replay/test_replay.py::test_the_documented_steps",
    "faust -A app replay drop steady --yes": (
        "tests/replay/test_replay.py::test_the_documented_steps"
    ),
}
"""The first words of the blocks that are not run here, with the reason that they give.  Adding one
needs a decision."""


def test_the_blocks_that_are_not_run_are_known() -> None:
    skipped: list[Block] = [
        block for document in DOCUMENTS for block in blocks(document) if block.elsewhere is not None
    ]
    assert {
        block.text.splitlines()[0].partition("  ")[0].strip(): block.elsewhere for block in skipped
    } == ELSEWHERE
    for block in skipped:
        assert block.elsewhere is not None
        assert "::" not in block.elsewhere or _test_exists(block.elsewhere)


def test_every_block_is_of_a_kind_that_is_looked_at() -> None:
    kinds = {block.language for document in DOCUMENTS for block in blocks(document)}
    assert kinds == {
        "",
        "sh",
        "python",
        "sql",
    }, "pictures and formulas have no language; everything else is run"
