"""The published documents of the contract, made from the structs: `python -m schemas.generate` writes them, `--check` compares.

May touch: `schemas/json/*.json` and `schemas/asyncapi.json`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from schemas import SCHEMA_VERSION
from schemas.events import PositionClosed, scope_type
from schemas.facts import PatternTradeEvent
from schemas.lessons import Baseline, EdgeHistory, GroupSummary, LatentFactor, Lesson, LessonVerdict, RegimeWeight
from schemas.overrides import Override

FOLDER = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SCOPE: Any = scope_type()
_OF_SCOPE = re.compile(r"(_Scope_|\[Scope\])$")

_DERIVED_HEADERS = {
    "version": "Required, on tombstones too: the record's version as decimal text. Readers keep the highest version of a key.",
    "schema-version": "The schema_version of the value.",
    "content-type": "application/json.",
}
_CLOSE_HEADERS = {
    "redriven.from": "Where a dead letter was sent again: the letter's partition:offset in position_closed.dlq.",
}
_DEAD_LETTER_HEADERS = {
    "reason": "Required: a short stable word, e.g. wrong_type.",
    "path": "Required: the JSON path of the culprit, e.g. $.actions[3].scope.chain.",
    "exception": "Required: name and message of the error.",
    "source.topic": "Required.",
    "source.partition": "Required: decimal text.",
    "source.offset": "Required: decimal text.",
    "source.timestamp": "Required: milliseconds since 1970 as decimal text.",
    "value.length": "Where the value was cut to its first MiB: its length in bytes.",
    "value.sha256": "Where the value was cut: the SHA-256 of the whole in hex.",
}


@dataclass(frozen=True)
class Channel:
    """One topic in the documents.  `record` is the type of its values, None for bytes as they came."""

    name: str
    record: Any
    key: str
    description: str
    cleanup_policy: str
    headers: dict[str, str]
    action: str = "send"


CHANNELS: tuple[Channel, ...] = (
    Channel(
        "position_closed", PositionClosed[_SCOPE], "Any; the trade_id is recommended.",
        "Closed positions, from the trading system. Of several closes of one trade one counts, whole: the one with the greatest (revision, "
        "number of actions, exit_timestamp, event_id as text, SHA-256 of the value). A later close names every group of the earlier.",
        "delete", _CLOSE_HEADERS, "receive",
    ),
    Channel(
        "position_closed.dlq", None, "The key of the record that was refused.",
        "Records of position_closed that cannot become facts: key and value unchanged, at least once per source offset.",
        "delete", _DEAD_LETTER_HEADERS,
    ),
    Channel(
        "pattern_trade_events", PatternTradeEvent, "The group: pattern key and category, e.g. pm.uptrend.S1.entry|add.",
        "One fact per closed trade and group.", "delete", {**_DERIVED_HEADERS, "event-id": "The event_id of the close."},
    ),
    Channel(
        "learning_lessons", Lesson | GroupSummary, "The lesson id.",
        "Evidence of every slice, and a summary of every group; partitioned by module. A null value retires its key.",
        "compact", _DERIVED_HEADERS,
    ),
    Channel(
        "lesson_verdicts", LessonVerdict, "The lesson id.",
        "What was made of each lesson, and why. A null value retires its key.", "compact", _DERIVED_HEADERS,
    ),
    Channel(
        "pm_overrides", Override, "The override id.",
        "What the position manager reads. A null value retires its override.", "compact", _DERIVED_HEADERS,
    ),
    Channel(
        "learning_baselines", Baseline, "The baseline id.",
        "What trades earn on average. A null value retires its key.", "compact", _DERIVED_HEADERS,
    ),
    Channel(
        "learning_regime_weights", RegimeWeight, "The regime id.",
        "How far each quality metric tells, in a regime, which edges persist. A null value retires its key.", "compact", _DERIVED_HEADERS,
    ),
    Channel(
        "learning_latent_factors", LatentFactor, "The factor id.",
        "Slices that (nearly) the same trades match: one piece of evidence. A null value retires its key.", "compact", _DERIVED_HEADERS,
    ),
    Channel(
        "learning_edge_history", EdgeHistory, "Lesson id and day: 0123456789abcdef0123456789abcdef|2024-03-02.",
        "What was predicted for a lesson's slice before a day, and what its trades of that day brought; partitioned by module. A null "
        "value withdraws its day.", "compact,delete", _DERIVED_HEADERS,
    ),
)  # fmt: skip


def json_schema(channel: Channel) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a channel's values."""
    (reference,), definitions = msgspec.json.schema_components((channel.record,), ref_template="#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "$id": f"urn:edgeloop:{channel.name}:{SCHEMA_VERSION}",
        "title": channel.name,
        "description": channel.description,
        **_plain(reference),
        "$defs": {_OF_SCOPE.sub("", name): _plain(definition) for name, definition in sorted(definitions.items())},
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: topics, keys, headers, and where the values' schemas are."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Edgeloop",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": "Closed positions in, position-size overrides out. Topics carry EDGELOOP_TOPIC_PREFIX in front of these "
            "names; all of them use CreateTime.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {
            f"{channel.action}.{channel.name}": {
                "action": channel.action,
                "channel": {"$ref": f"#/channels/{channel.name}"},
                "messages": [{"$ref": f"#/channels/{channel.name}/messages/record"}],
            }
            for channel in CHANNELS
        },
        "components": {"messages": {channel.name: _message(channel) for channel in CHANNELS}},
    }


def documents() -> Iterator[tuple[Path, str]]:
    """Every document: its file and its text."""
    for channel in CHANNELS:
        if channel.record is not None:
            yield FOLDER / "json" / f"{channel.name}.json", _text(json_schema(channel))
    yield FOLDER / "asyncapi.json", _text(asyncapi())


def stale() -> list[Path]:
    """Files that are not what the structs say: missing, changed, or of a record that is no more."""
    expected = dict(documents())
    present = {*FOLDER.glob("json/*.json"), FOLDER / "asyncapi.json"}
    differing = {file for file, text in expected.items() if not file.exists() or file.read_text(encoding="utf-8") != text}
    return sorted(differing | (present - expected.keys()))


def main(arguments: list[str] | None = None) -> int:
    """Write the documents, or with `--check` say which are not current (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a document is not current")
    outdated = stale()
    if parser.parse_args(arguments).check:
        for file in outdated:
            sys.stderr.write(f"{file.relative_to(FOLDER.parent)} is not current. Run `python -m schemas.generate`.\n")
        return 1 if outdated else 0
    expected = dict(documents())
    for file in outdated:
        if file in expected:
            file.parent.mkdir(exist_ok=True)
            file.write_text(expected[file], encoding="utf-8")
        else:
            file.unlink()
    return 0


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "address": channel.name,
        "description": channel.description,
        "messages": {"record": {"$ref": f"#/components/messages/{channel.name}"}},
        "bindings": {
            "kafka": {
                "topic": channel.name,
                "topicConfiguration": {"cleanup.policy": channel.cleanup_policy.split(",")},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(channel: Channel) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": channel.name,
        "bindings": {"kafka": {"key": {"type": "string", "description": channel.key}, "bindingVersion": "0.5.0"}},
    }
    if channel.record is not None:
        message["payload"] = {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"json/{channel.name}.json"},
        }
    else:
        message["contentType"] = "application/octet-stream"
    if channel.headers:
        message["headers"] = {
            "type": "object",
            "required": [name for name, text in channel.headers.items() if text.startswith("Required")],
            "properties": {name: {"type": "string", "description": text} for name, text in channel.headers.items()},
        }
    return message


def _plain(node: Any) -> Any:
    """`node` with the names of generic structs as a reader expects them: `Action`, not `Action_Scope_`; paragraphs on one line."""
    if isinstance(node, dict):
        return {key: _plain(child) for key, child in node.items()}
    if isinstance(node, list):
        return [_plain(child) for child in node]
    return " ".join(_OF_SCOPE.sub("", node).split()) if isinstance(node, str) else node


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
