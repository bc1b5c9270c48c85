"""The published documents of the contract, generated from the structs: `python -m schemas.generate`
writes them, `--check` compares.

May touch: `schemas/json/*.json` and `schemas/asyncapi.json`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edgeloop.overrides import SCHEMA_VERSION
from schemas.kinds import CLOSES, DEAD_LETTERS, FACTS, KINDS, Kind

FOLDER = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_OF_SCOPE = re.compile(r"(_Scope_|\[Scope\])$")

_DERIVED_HEADERS = {
    "version": (
        "Required, on tombstones too: the record's version as decimal text. Readers keep the"
        " highest version of a key."
    ),
    "schema-version": "The schema_version of the value.",
    "content-type": "application/json.",
}
_CLOSE_HEADERS = {
    "redriven.from": (
        "Where a dead letter was sent again: the letter's partition:offset in position_closed.dlq."
    ),
}
_FACT_HEADERS = {"event-id": "The event_id of the close."}
_DEAD_LETTER_HEADERS = {
    "reason": "Required: a short stable word, e.g. wrong_type.",
    "path": "Required: the JSON path of the error, e.g. $.actions[3].scope.chain.",
    "exception": "Required: name and message of the error.",
    "source.topic": "Required.",
    "source.partition": "Required: decimal text.",
    "source.offset": "Required: decimal text.",
    "source.timestamp": "Required: milliseconds since 1970 as decimal text.",
    "value.length": "Where the value was cut to its first MiB: its length in bytes.",
    "value.sha256": "Where the value was cut: the SHA-256 of the whole in hex.",
    "key.length": "Where the key was cut to its first MiB: its length in bytes.",
    "key.sha256": "Where the key was cut: the SHA-256 of the whole in hex.",
}


def _action(kind: Kind) -> str:
    return "receive" if kind.topic == CLOSES else "send"


def _headers(kind: Kind) -> dict[str, str]:
    if kind.topic == CLOSES:
        return _CLOSE_HEADERS
    if kind.topic == DEAD_LETTERS:
        return _DEAD_LETTER_HEADERS
    return _DERIVED_HEADERS | (_FACT_HEADERS if kind.topic == FACTS else {})


def json_schema(kind: Kind) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a channel's values."""
    (reference,), definitions = msgspec.json.schema_components(
        (kind.struct,), ref_template="#/$defs/{name}"
    )
    return {
        "$schema": DIALECT,
        "$id": f"urn:edgeloop:{kind.topic}:{SCHEMA_VERSION}",
        "title": kind.topic,
        "description": kind.description,
        **_plain(reference),
        "$defs": {
            _OF_SCOPE.sub("", name): _plain(definition)
            for name, definition in sorted(definitions.items())
        },
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: topics, keys, headers, and where the values' schemas are."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Edgeloop",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": (
                "Closed positions in, position-size overrides out. Topic names are prefixed with"
                " EDGELOOP_TOPIC_PREFIX; all of them use CreateTime."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {kind.topic: _channel(kind) for kind in KINDS.values()},
        "operations": {
            f"{_action(kind)}.{kind.topic}": {
                "action": _action(kind),
                "channel": {"$ref": f"#/channels/{kind.topic}"},
                "messages": [{"$ref": f"#/channels/{kind.topic}/messages/record"}],
            }
            for kind in KINDS.values()
        },
        "components": {"messages": {kind.topic: _message(kind) for kind in KINDS.values()}},
    }


def documents() -> Iterator[tuple[Path, str]]:
    """Every document: file → text."""
    for kind in KINDS.values():
        if kind.struct is not None:
            yield FOLDER / "json" / f"{kind.topic}.json", _text(json_schema(kind))
    yield FOLDER / "asyncapi.json", _text(asyncapi())


def stale() -> list[Path]:
    """Files that do not match the structs: missing, changed, or of a record that no longer
    exists."""
    expected = dict(documents())
    present = {*FOLDER.glob("json/*.json"), FOLDER / "asyncapi.json"}
    differing = {
        file
        for file, text in expected.items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    }
    return sorted(differing | (present - expected.keys()))


def main(arguments: list[str] | None = None) -> int:
    """Write the documents, or with `--check` say which are not current (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description=main.__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a document is not current"
    )
    outdated = stale()
    if parser.parse_args(arguments).check:
        for file in outdated:
            sys.stderr.write(
                f"{file.relative_to(FOLDER.parent)} is not current. Run `python -m"
                " schemas.generate`.\n"
            )
        return 1 if outdated else 0
    expected = dict(documents())
    for file in outdated:
        if file in expected:
            file.parent.mkdir(exist_ok=True)
            file.write_text(expected[file], encoding="utf-8")
        else:
            file.unlink()
    return 0


def _channel(kind: Kind) -> dict[str, Any]:
    return {
        "address": kind.topic,
        "description": kind.description,
        "messages": {"record": {"$ref": f"#/components/messages/{kind.topic}"}},
        "bindings": {
            "kafka": {
                "topic": kind.topic,
                "topicConfiguration": {"cleanup.policy": kind.cleanup.split(",")},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(kind: Kind) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": kind.topic,
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": kind.key_text},
                "bindingVersion": "0.5.0",
            }
        },
    }
    if kind.struct is not None:
        message["payload"] = {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"json/{kind.topic}.json"},
        }
    else:
        message["contentType"] = "application/octet-stream"
    if _headers(kind):
        message["headers"] = {
            "type": "object",
            "required": [
                name for name, text in _headers(kind).items() if text.startswith("Required")
            ],
            "properties": {
                name: {"type": "string", "description": text}
                for name, text in _headers(kind).items()
            },
        }
    return message


def _plain(node: Any) -> Any:
    """`node` with the names of generic structs as a reader expects them: `Action`, not
    `Action_Scope_`; paragraphs on one line."""
    if isinstance(node, dict):
        return {key: _plain(child) for key, child in node.items()}
    if isinstance(node, list):
        return [_plain(child) for child in node]
    return " ".join(_OF_SCOPE.sub("", node).split()) if isinstance(node, str) else node


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
