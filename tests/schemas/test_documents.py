"""The published documents are current, valid, and consistent with input validation."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from app.closes import RefusedCloseError
from app.kafka import topics
from app.settings import Settings
from edgeloop.overrides import Evidence, Override, OverrideDecay
from schemas import generate, lessons
from schemas.kinds import CONTROL, KINDS
from schemas.lessons import (
    Baseline,
    EdgeHistory,
    Fit,
    GroupSummary,
    HistoryCell,
    LatentFactor,
    Lesson,
    LessonDecay,
    LessonVerdict,
    Marginal,
    Metrics,
    RegimeCell,
    RegimeWeight,
    SegmentSum,
)
from tests.closes.events import ABSENT, NEW, broken, facts

RECORDS = {topic: kind.struct for topic, kind in KINDS.items() if kind.struct is not None}


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        json.loads((generate.FOLDER / "json" / f"{name}.json").read_text(encoding="utf-8"))
    )


def test_the_documents_are_current() -> None:
    assert generate.stale() == []
    assert generate.main(["--check"]) == 0


def test_a_stale_document_is_found_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "schemas"
    folder.mkdir()
    monkeypatch.setattr(generate, "FOLDER", folder)
    assert generate.main(["--check"]) == 1
    assert "schemas/asyncapi.json is not current" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (folder / "json" / "pm_overrides.json").write_text("{}")
    (folder / "json" / "gone.json").write_text("{}")
    assert [file.name for file in generate.stale()] == ["gone.json", "pm_overrides.json"]
    assert generate.main([]) == 0
    assert generate.stale() == []


@pytest.mark.parametrize("name", RECORDS)
def test_every_schema_is_valid_json_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(validator(name).schema)


def samples() -> list[tuple[str, Any]]:
    evidence = Evidence("2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z", 7)
    group = {"learning": "classic", "module": "pm", "pattern_key": "pm.a", "action_category": "add"}
    stamp = {"as_of": "2026-01-02T00:00:00.000000Z", "version": 7}
    decay = LessonDecay("stable", 1.0, 0.001, 12.0, (1.0, 2.0))
    integrated = group | stamp | {"learning": "integrated"}
    metrics = Metrics(0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    regime = RegimeCell("btc_macro=S1", 3, 0.25)
    marginal = Marginal(
        step=0,
        statistic=6.0,
        conditional=5.5,
        p_value=1e-8,
        hypotheses=800,
        effect=0.5,
        effect_sd=0.1,
        now=0.25,
        now_sd=0.125,
        noise_sd=1.0,
        reason="",
        aliases=({"chain": "x", "intent": "y"},),
    )
    verdict = LessonVerdict(
        **group,
        **stamp,
        lesson_id="l",
        scope={},
        n=3,
        edge=0.1,
        baseline=0.0,
        multiplier=1.1,
        confidence=0.5,
        decision="override",
        reason="r",
        override_id="o",
        latent_factor_id=None,
        lesson_version=7,
    )
    return [
        *(("pattern_trade_events", fact) for fact in facts(json.dumps(NEW).encode())),
        (
            "learning_lessons",
            Lesson(
                **group,
                **stamp,
                lesson_id="l",
                scope={"chain": "x"},
                n=3,
                mean=0.5,
                variance=0.1,
                decay=decay,
                evidence=evidence,
            ),
        ),
        (
            "learning_lessons",
            GroupSummary(
                **group,
                **stamp,
                lesson_id="g",
                n=3,
                n_slices=1,
                segments=(SegmentSum(None, "1h", 3, 1.5, 2.0),),
            ),
        ),
        (
            "learning_lessons",
            Lesson(
                **integrated,
                lesson_id="l",
                scope={"chain": "x"},
                n=3,
                mean=0.5,
                variance=0.1,
                decay=decay,
                evidence=evidence,
                marginal=marginal,
                metrics=metrics,
                history=(HistoryCell(20_000, 0.5, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (regime,)),),
                sketch="AAAA",
            ),
        ),
        (
            "learning_lessons",
            GroupSummary(
                **integrated,
                lesson_id="g",
                n=3,
                n_slices=1,
                segments=(),
                path=lessons.Path(
                    lesson_ids=("l",),
                    statistics=(6.0,),
                    fits=(
                        Fit((0.1,), (0.2,), ((1.0,),)),
                        Fit((0.1, 0.5), (0.2, 0.1), ((0.75,), (0.25,))),
                    ),
                    hypotheses=800,
                    robust_sd=1.0,
                    segments=((None, "1h"),),
                ),
            ),
        ),
        ("lesson_verdicts", verdict),
        (
            "lesson_verdicts",
            msgspec.structs.replace(
                verdict, learning="integrated", edge_raw=0.2, effect_sd=0.1, latent_factor_id="f"
            ),
        ),
        (
            "pm_overrides",
            Override(
                **group,
                **stamp,
                override_id="o",
                scope={"chain": "x"},
                effect=0.1,
                effect_sd=None,
                multiplier=1.1,
                confidence=0.5,
                n_trades=40,
                baseline=0.0,
                decay=OverrideDecay("stable"),
                latent_factor_id=None,
                covers=(),
                regime_gains={},
                evidence=evidence,
                expires_at=None,
            ),
        ),
        (
            "learning_baselines",
            Baseline(
                learning="classic",
                baseline_id="b",
                module="pm",
                bucket=None,
                timeframe=None,
                n=3,
                mean=0.1,
                variance=0.2,
                **stamp,
            ),
        ),
        (
            "learning_regime_weights",
            RegimeWeight(
                **stamp,
                learning="integrated",
                regime_id="r",
                module="pm",
                regime="btc_macro=S1",
                n_cells=90,
                n_trades=400,
                weights={"offset": 1.0, "support": 1.25},
                sds={"offset": 0.1, "support": 0.2},
                centres={"support": 0.6},
                p_value=0.001,
                active=True,
            ),
        ),
        (
            "learning_latent_factors",
            LatentFactor(
                **stamp,
                learning="integrated",
                factor_id="f",
                module="pm",
                representative="l",
                members=("l", "m"),
                cohesion=0.8,
            ),
        ),
        (
            "learning_edge_history",
            EdgeHistory(
                **group | {"learning": "integrated"},
                version=7,
                lesson_id="l",
                day="2026-01-01",
                n=3,
                predicted=0.5,
                uplift=0.25,
                metrics=metrics,
                regimes={regime.regime: regime},
            ),
        ),
    ]


@pytest.mark.parametrize(
    ("name", "record"), samples(), ids=lambda x: x if isinstance(x, str) else ""
)
def test_records_validate(name: str, record: Any) -> None:
    value = msgspec.json.encode(record)
    validator(name).validate(json.loads(value))
    assert msgspec.json.decode(value, type=RECORDS[name]) == record
    without = json.loads(value)
    del without["module"]
    assert not validator(name).is_valid(without)


def test_every_record_type_has_a_sample() -> None:
    assert {name for name, _ in samples()} == RECORDS.keys() - {"position_closed"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema_version", 2),
        ("schema_version", "1"),
        ("schema_version", True),
        ("event_id", ""),
        ("event_id", ABSENT),
        ("trade_id", 5),
        ("trade_id", "x" * 201),
        ("revision", -1),
        ("revision", 2**53),
        ("revision", 1.5),
        ("module", "p m"),
        ("module", ""),
        ("actions", []),
        ("actions.0.action_category", "Add"),
        ("actions.0.ts", "2026-01-01"),
        ("actions.0.ts", "2026-01-01T00:00:00"),
        ("actions.0.ts", 5),
        ("actions.0.scope.chain", []),
        ("actions.0.scope.btc_macro", {}),
        ("entry_context.chain", {}),
        ("regime_context", []),
        ("trade_summary.rr", "1"),
        ("trade_summary.rr", True),
        ("trade_summary", None),
        ("actions.0.applied_overrides", [1]),
    ],
)
def test_the_schema_refuses_what_input_validation_refuses(path: str, value: Any) -> None:
    event = broken(NEW, path, value)
    assert not validator("position_closed").is_valid(json.loads(event))
    with pytest.raises(RefusedCloseError):
        facts(event)


def test_what_the_door_accepts_is_valid_by_the_schema() -> None:
    check = validator("position_closed")
    random_source = random.Random(3)
    replacements: list[Any] = [
        None,
        True,
        0,
        1,
        2.0,
        1.5,
        "",
        "a",
        "S4",
        "add",
        "2026-01-01T00:00:00Z",
        [],
        {},
        {"chain": 1},
        ["o"],
    ]
    accepted = 0
    for _ in range(2_000):
        tree = copy.deepcopy(NEW)
        node: Any = tree
        while True:
            key = random_source.choice(list(node) if isinstance(node, dict) else range(len(node)))
            if (
                not (isinstance(node[key], (dict, list)) and node[key])
                or random_source.random() < 0.1
            ):
                break
            node = node[key]
        node[key] = random_source.choice(replacements)
        try:
            facts(json.dumps(tree).encode())
        except RefusedCloseError:
            continue
        accepted += 1
        check.validate(tree)
    assert accepted > 200


def test_asyncapi_names_the_topics_as_they_are_created() -> None:
    document = json.loads((generate.FOLDER / "asyncapi.json").read_text(encoding="utf-8"))
    declared = {
        topic.name: topic.config["cleanup.policy"]
        for topic in topics.declaration(Settings())
        if topic.name != CONTROL  # nothing is derived from it
    }
    channels = document["channels"]
    assert {
        n: c["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]
        for n, c in channels.items()
    } == {name: policy.split(",") for name, policy in declared.items()}
    assert all(c["address"] == n == c["bindings"]["kafka"]["topic"] for n, c in channels.items())
    assert {
        o["action"] for n, o in document["operations"].items() if n.endswith(".position_closed")
    } == {"receive"}


def test_every_reference_of_asyncapi_leads_somewhere() -> None:
    document = json.loads((generate.FOLDER / "asyncapi.json").read_text(encoding="utf-8"))
    references: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            references.extend(v for k, v in node.items() if k == "$ref")
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)
    assert len(references) > 20
    for reference in references:
        if reference.startswith("#/"):
            node = document
            for step in reference[2:].split("/"):
                node = node[step]
        else:
            assert (generate.FOLDER / reference).is_file()
