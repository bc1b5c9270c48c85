"""The position manager's distribution is built, installed alone, and run against a real Kafka."""

from __future__ import annotations

import asyncio
import email
import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement

import edgeloop
from app.kafka import topics
from app.kafka.producer import Producer
from app.kafka.records import published
from app.settings import Settings
from edgeloop.overrides import TOPIC
from tests.client.test_resolve import make
from tests.docs.markdown import Block, blocks

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
PROGRAMS = [
    block
    for document in (
        ROOT / "README.md",
        ROOT / "docs" / "runtime.md",
        ROOT / "edgeloop" / "README.md",
    )
    for block in blocks(document)
    if block.language == "python" and "OverrideBook(" in block.text
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the package's folder."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        ROOT / "edgeloop", folder / "edgeloop", ignore=shutil.ignore_patterns("__pycache__")
    )
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        "dist",
        "./edgeloop",
        cwd=folder,
    )
    (built,) = (folder / "dist").glob("*.whl")
    return built


def run(*words: str, cwd: Path, **environment: str) -> str:
    """Run a command without the environment of the tests' Python; returns its output."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "EDGELOOP_"))
    }
    done = subprocess.run(
        words, cwd=cwd, env=inherited | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metadata_of(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def needed(requirements: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """The distributions of this environment that the requirements need, directly or indirectly."""
    found: dict[str, importlib.metadata.Distribution] = {}
    open_ = [Requirement(text) for text in requirements]
    while open_:
        requirement = open_.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        distribution = importlib.metadata.distribution(requirement.name)
        assert requirement.specifier.contains(distribution.version), requirement
        if distribution.name not in found:
            found[distribution.name] = distribution
            open_ += [Requirement(text) for text in distribution.requires or ()]
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, its declared dependencies, and nothing else.

    Dependencies are copied from this environment, so that no network is used.
    """
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    for distribution in needed(metadata_of(wheel).get_all("Requires-Dist") or []).values():
        for file in distribution.files or ():
            source, target = Path(str(distribution.locate_file(file))), site / file
            if ".." not in file.parts and source.suffix != ".pyc" and source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
    run(str(python), "-m", "pip", "install", "--no-index", "--no-deps", str(wheel), cwd=folder)
    run(str(python), "-m", "pip", "check", cwd=folder)
    return python


def test_it_has_one_package_two_requirements_and_the_versions_of_the_workers(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edgeloop"}
    assert "edgeloop/py.typed" in names
    assert any(name.endswith("LICENSE") for name in names)
    metadata = metadata_of(wheel)
    required = [Requirement(text) for text in metadata.get_all("Requires-Dist") or []]
    assert {r.name for r in required if r.marker is None} == {"aiokafka", "msgspec"}
    assert metadata["Version"] == edgeloop.__version__


@pytest.fixture
def published_overrides(stack_settings: Settings) -> Settings:
    """An installation whose topic holds one override of the group that the programs query."""

    async def publish() -> None:
        await topics.create(stack_settings)
        producer = Producer(stack_settings)
        now = datetime.now(UTC)
        override = msgspec.structs.replace(
            make("o1", effect=0.25, scope={"curator": "oversold"}),
            pattern_key="pm.dip.S1.entry",
            action_category="entry",
            as_of=now.isoformat(),
            expires_at=(now + timedelta(days=1)).isoformat(),
        )
        await producer.send([published(stack_settings, TOPIC, override, 1)])
        await producer.stop()

    asyncio.run(publish())
    return stack_settings


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_the_wheel_installs_alone_and_runs_the_documented_programs(
    program: Block, installed: Path, published_overrides: Settings, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(program.text)
    output = run(
        str(installed),
        "program.py",
        cwd=tmp_path,
        EDGELOOP_BROKER=published_overrides.broker,
        EDGELOOP_TOPIC_PREFIX=published_overrides.topic_prefix,
    )
    assert "size × 1.25: matched" in output or "1000.0 no_match" in output, output


def test_nothing_of_the_workers_is_there(installed: Path, tmp_path: Path) -> None:
    program = (
        "import importlib.util, sys, edgeloop, edgeloop.threaded, edgeloop.integrations\n"
        "import edgeloop.integrations.freqtrade, edgeloop.integrations.nautilus\n"
        "found = [n for n in ('app',"
        " 'agents', 'schemas', 'faust', 'numpy', 'asyncpg') if importlib.util.find_spec(n)]\nassert"
        " not found, found\nprint(edgeloop.__version__, edgeloop.__file__)\n"
    )
    output = run(str(installed), "-c", program, cwd=tmp_path)
    assert output.startswith(edgeloop.__version__)
    assert str(installed.parents[1]) in output


def test_its_types_are_known_to_its_users(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "from edgeloop import OverrideBook, Resolution, ThreadedOverrideBook\n\n\n"
        "def size(book: OverrideBook | ThreadedOverrideBook) -> float:\n"
        '    found: Resolution = book.resolve("a.b", "entry", {"chain": "sol"})\n'
        "    reveal_type(found.ids)\n"
        "    return 100 * found.multiplier\n"
    )
    output = run(
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-executable",
        str(installed),
        "user.py",
        cwd=tmp_path,
    )
    assert "str, ...]" in output
