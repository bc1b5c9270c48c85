"""Every client is made with the options of one function."""

from __future__ import annotations

import ast
from pathlib import Path

from app.kafka.client import client_options, faust_broker
from app.settings import Settings

ROOT = Path(__file__).parents[2]
DEV_STACK = ROOT / "app" / "devstack"
"""It connects to the broker that it starts, before there are settings."""
POSITION_MANAGER = ROOT / "app" / "runtime"
"""Its caller passes the options."""


def test_options_name_the_broker_and_may_be_added_to() -> None:
    settings = Settings(broker="a:1,b:2")
    options = client_options(settings, acks="all", request_timeout_ms=5)
    assert options == {
        "bootstrap_servers": "a:1,b:2",
        "request_timeout_ms": 5,
        "security_protocol": "PLAINTEXT",
        "acks": "all",
    }
    assert faust_broker(settings) == "kafka://a:1;kafka://b:2"


def test_no_client_is_made_anywhere_else() -> None:
    for room in ("app", "agents"):
        for file in sorted((ROOT / room).rglob("*.py")):
            if file.is_relative_to(DEV_STACK) or file.is_relative_to(POSITION_MANAGER):
                continue
            made = {
                node.func.id
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            clients = {name for name in made if name.startswith("AIOKafka")}
            assert not clients or file.parent == ROOT / "app" / "kafka", (file, clients)
