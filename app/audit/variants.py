"""The variants that are compared: as configured, `classic`, and `integrated` with each of
its learners off.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.learning.common.config import LearningConfig
from app.learning.engine import Engine
from app.learning.methods import module_judge
from edgeloop.overrides import Override
from schemas.lessons import GroupSummary, Lesson

LEARNERS = {
    "half-life": "half_life",
    "regime weights": "regime_weights",
    "latent factors": "latent_factors",
    "shared effects": "shared_effects",
}
"""The learners and their switches."""
WEIGHED = ("half-life", "shared effects")
"""Learners weighted between off and on by the module's record; the others are on unless switched
off."""
CLASSIC_MAX_DIMS = 3


def variants(config: LearningConfig) -> dict[str, LearningConfig]:
    """The variants by name: `integrated` (each learner by its record), `no half-life`, `no regime
    weights`, `no latent factors`, `no shared effects`, `classic`.

    >>> list(variants(LearningConfig()))
    ['integrated', 'no half-life', 'no regime weights', 'no latent factors', 'no shared effects', \
'classic']
    """
    auto: dict[str, Any] = dict.fromkeys(LEARNERS.values())
    integrated = replace(config, learning="integrated", **auto)
    off = {
        f"no {name}": replace(integrated, **auto | {switch: False})
        for name, switch in LEARNERS.items()
    }
    dims = config.max_dims and min(config.max_dims, CLASSIC_MAX_DIMS)
    return {
        "integrated": integrated,
        **off,
        "classic": replace(config, learning="classic", max_dims=dims),
    }


def always(config: LearningConfig) -> dict[str, LearningConfig]:
    """For each learner of `WEIGHED`, `integrated` with that one on, regardless of its record.

    >>> [
    ...     (name, made.half_life, made.shared_effects)
    ...     for name, made in always(LearningConfig()).items()
    ... ]
    [('half-life', True, None), ('shared effects', None, True)]
    """
    integrated = variants(config)["integrated"]
    on: dict[str, dict[str, Any]] = {name: {LEARNERS[name]: True} for name in WEIGHED}
    return {name: replace(integrated, **switch) for name, switch in on.items()}


def published(
    integrated: Engine, classic: Engine, configs: Mapping[str, LearningConfig]
) -> dict[str, list[Override]]:
    """The overrides that each of `configs` (`variants`, and more of `integrated`) publishes, by
    name.  Those of `integrated` judge the same lessons, as in production."""
    overrides = {"integrated": integrated.learn(), "classic": classic.learn()}
    evidence: list[Lesson | GroupSummary] = [*integrated.lessons(), *integrated.summaries()]
    for name, config in configs.items():
        if name not in overrides:
            judge = module_judge(config, integrated.module)
            judge.fold(evidence)
            overrides[name] = judge.judge(1).overrides.published
    return overrides
