"""Every alert fires on the series that `alerts.test.yml`, beside the rules, has for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose import promtool
from tests.compose.test_monitoring import SERVED, rules


def cases() -> dict[str, Any]:
    document = yaml.safe_load((promtool.MONITORING / "alerts.test.yml").read_text())
    assert document["rule_files"] == ["alerts.yml"]
    return {case["name"]: case for case in document["tests"]}


@pytest.mark.parametrize("rule", list(rules()), ids=lambda rule: rule["alert"])
def test_series_are_there_by_which_it_fires_and_by_which_it_does_not(rule: dict[str, Any]) -> None:
    case = cases()[rule["alert"]]
    looks = case["alert_rule_test"]
    assert {look["alertname"] for look in looks} == {rule["alert"]}
    assert any(look["exp_alerts"] for look in looks)
    assert any(not look["exp_alerts"] for look in looks)
    for series in case["input_series"]:
        name, labels = re.fullmatch(r"(\w+)\{(.*)\}", series["series"]).groups()  # type: ignore[union-attr]
        assert {label.split("=")[0] for label in labels.split(",")} <= SERVED[name], name


def test_the_series_are_of_alerts_that_there_are() -> None:
    assert cases().keys() == {rule["alert"] for rule in rules()}


def test_every_alert_fires_and_is_quiet_as_promtool_computes_it(tmp_path: Path) -> None:
    if (tool := promtool.find()) is None:
        pytest.skip(promtool.MISSING)
    done = promtool.check(tool)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout + done.stderr
