"""Yes, no, or not enough data: answer the three questions, and recommend each switch.

May touch: nothing but its arguments.

*Yes* needs an interval above 0 and a material estimate.  *No* needs evidence as well: an interval
that ends below what is material.  Everything else is *not enough data*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from app.audit.bootstrap import Estimate
from app.audit.document import (
    Decay,
    DoubleCounting,
    Peer,
    Question,
    Regimes,
    Setting,
    Switch,
    Weight,
)
from app.audit.peers import CALLED
from app.audit.score import Score
from app.audit.variants import LEARNERS
from app.learning.common.config import LearningConfig

MATERIAL_SHARE = 0.1
"""The part of the value of sizing from which a benefit is material (for forecasts, of the skill;
for double counting, of the overrides that vote)."""
YES, NO, UNSURE = "yes", "no", "not enough data"
AUTO, ON, OFF = "auto", "on", "off"
COUNTED = {"half-life": "half_life", "shared effects": "shared_effects"}
"""Learners that are weighed, by their place in `Weight`."""
HARDLY = 0.05
"""A negligible change of a multiplier."""


def answer(figure: Estimate, material: float) -> str:
    """The answer from the interval of a benefit.

    >>> [
    ...     answer(Estimate(*figure), 0.1)
    ...     for figure in (
    ...         (0.3, 0.1, 0.5), (0.02, -0.05, 0.08), (0.02, -0.05, 0.2), (0.05, 0.01, 0.15),
    ...     )
    ... ]
    ['yes', 'no', 'not enough data', 'not enough data']
    """
    if figure.low > 0 and figure.value >= material:
        return YES
    return NO if figure.high < material else UNSURE


def has_edge(settings: Mapping[str, Setting]) -> bool:
    """Whether any learning method would clearly have added value."""
    return any(s.score.value.low > 0 for s in settings.values())


def regimes(settings: Mapping[str, Setting], found: Regimes) -> Question:
    """Do you need regime weights?  What they add, and what they could add at most."""
    without = settings["no regime weights"]
    gain = _beyond(without).value
    worth = max(settings["integrated"].score.value.value, without.score.value.value)
    material = MATERIAL_SHARE * worth
    sure = max(settings["integrated"].score.value.low, without.score.value.low) > 0
    if not found.seen:
        verdict, why = (
            UNSURE,
            (
                "Regimes cannot be assessed: no judged decision was in a known regime, or all were"
                " in the same one."
            ),
        )
    elif not sure:
        verdict, why = (
            UNSURE,
            "Sizing has no clear value here, so regimes have nothing to improve.",
        )
    else:
        verdict = answer(gain, material)
        if verdict == NO and found.attainable.high >= material:
            verdict = UNSURE
            why = f"The weights add {number(gain)} per decision, so they could be off; but "
            if found.attainable.high == float("inf"):
                why += (
                    "too few decisions were sized by effects learned over all regimes to see how"
                    " they differ."
                )
            else:
                why += (
                    "knowing how edges differ by regime could be worth up to"
                    f" {found.attainable.high:+.4f}, and more than {material:.4f} would be"
                    " material."
                )
        elif verdict == NO:
            why = (
                f"Pattern and regime in scope are enough: the weights add {number(gain)} per"
                " decision, and even knowing how edges differ by regime would be worth"
                f" {number(found.attainable)}; {material:.4f} would be material, a tenth of what"
                " sizing is worth."
            )
        elif verdict == YES:
            why = f"They add {number(gain)} per decision, of the {worth:.4f} that sizing is worth."
        else:
            why = (
                f"They add {number(gain)} per decision; {material:.4f} would be material, and the"
                " interval includes both."
            )
    return Question(
        question=(
            "Do you need regime-specific weights in the edge formula, or is pattern and regime in"
            " scope enough?"
        ),
        answer=verdict,
        name="value per decision that regime weights add",
        figure=gain,
        material=material if sure else None,
        why=why,
        switching=_switching(without, "Without regime weights"),
    )


def decays(settings: Mapping[str, Setting], found: Decay) -> Question:
    """Exponential or linear?  Which of them predicted better."""
    without = settings["no half-life"]
    figure = found.exponential_over_linear
    material = MATERIAL_SHARE * found.skill.value
    sure = found.skill.low > 0
    on = f"In sizing, half-lives add {number(_beyond(without).value)} of value per decision."
    if not found.trades:
        verdict, why = UNSURE, "No effect was chosen at any cut, so decay could not be observed."
    elif not sure:
        verdict, why = (
            UNSURE,
            (
                "No form of decay clearly predicted later trades, so the forms cannot be"
                " distinguished."
            ),
        )
    else:
        verdict = answer(figure, material)
        falls = max(found.exponential_over_constant.low, found.linear_over_constant.low) > 0
        if verdict == YES:
            why = (
                f"Exponential decay predicts later trades better than linear: {number(figure)} nats"
                f" per trade. {on}"
            )
        elif verdict == NO and falls:
            why = (
                "Edges fade, and linear decay predicts that as well as exponential, which gains"
                f" {number(figure)} nats per trade. {on}"
            )
        elif verdict == NO:
            why = (
                "Edges hardly fade within the window, so the form makes no difference:"
                f" {number(figure)} nats per trade. {on}"
            )
        else:
            why = (
                f"The difference is {number(figure)} nats per trade; {material:.4f} would be"
                f" material, and the interval includes both. {on}"
            )
    return Question(
        question="Do you need exponential (half-life) decay, or is linear decay good enough?",
        answer=verdict,
        name="log predictive density per trade, exponential minus linear (nats)",
        figure=figure,
        material=material if sure else None,
        why=why,
        switching=_switching(without, "Without half-lives"),
    )


def double_counting(settings: Mapping[str, Setting], found: DoubleCounting) -> Question:
    """Do several overrides with the same evidence match a decision?"""
    ours = settings["integrated"].overlap
    if not found.decisions:
        verdict, why = UNSURE, "No override of the batch jobs' formulas matches any decision."
    else:
        verdict = answer(found.repeated, MATERIAL_SHARE)
        counts = (
            f"{found.matched:.1f} overrides match a sized decision on average, which are"
            f" {found.distinct:.1f} pieces of evidence"
        )
        merging = (
            "with one vote per piece of evidence, the multiplier changes by"
            f" {found.change.value:.3f} on average, worth {number(found.worth)} per decision"
        )
        hardly = (
            " The difference is negligible."
            if verdict == YES and found.change.high < HARDLY
            else ""
        )
        why = f"With the batch jobs' formulas (`classic`) {counts}; {merging}.{hardly} "
        why += (
            f"`integrated` adds up effects that are marginal to each other: {ours.matched:.1f}"
            " match, and none is counted twice."
            if ours.decisions
            else "`integrated` has no override that matches any."
        )
    return Question(
        question="Do you have double counting: several overrides that match the same trade?",
        answer=verdict,
        name="share of votes that repeat the evidence of another (classic)",
        figure=found.repeated,
        material=MATERIAL_SHARE,
        why=why,
        switching=_switching(settings["classic"], "By `classic`")
        + " "
        + _switching(settings["no latent factors"], "Without latent factors"),
    )


def headline(settings: Mapping[str, Setting]) -> str:
    """Whether there is any edge to size by."""
    ours, theirs = settings["integrated"].score.value, settings["classic"].score.value
    if ours.low == float("-inf"):
        return (
            "There is too little data to judge: at least two cuts with decisions are needed. Leave"
            " sizes unchanged until then."
        )
    if ours.low > 0:
        return (
            f"Sizing by `integrated` would have been worth {number(ours)} each, in units of size;"
            f" by `classic` {number(theirs)}."
        )
    if theirs.low > 0:
        return (
            f"Sizing by `classic` would have been worth {number(theirs)} each, in units of size; by"
            f" `integrated` {number(ours)}."
        )
    return (
        f"This log has no edge to size by: sizing would have been worth {number(ours)} per decision"
        f" by `integrated` and {number(theirs)} by `classic`, and neither is clearly above zero."
        " Leave sizes unchanged."
    )


def beside(settings: Mapping[str, Setting], peers: Sequence[Peer]) -> str:
    """A sentence on whether `integrated` is worth running beside simple tools; empty if unknown."""
    ours = settings["integrated"].score.value
    if not peers or ours.low == float("-inf"):
        return ""
    better = [p for p in peers if p.beyond.value.high < 0]
    if better:
        best = max(better, key=lambda p: p.score.value.value)
        return (
            f"{_called(best)} was worth more: {number(best.score.value)}, and `integrated`"
            f" {number(best.beyond.value)} beyond it. Running it as well is not worthwhile."
        )
    level = [p for p in peers if p.beyond.value.low <= 0]
    if not level:
        beyond = " and ".join(f"{number(p.beyond.value)} beyond {CALLED[p.name]}" for p in peers)
        return (
            f"That is more than simple tools make of the same trades, {beyond}: it is worth"
            " running."
        )
    if max(ours.low, *(p.score.value.low for p in peers)) <= 0:
        return f"Simple tools found nothing certain either: {', '.join(map(_worth, peers))}."
    best = max(level, key=lambda p: p.score.value.value)
    difference = f"`integrated` {number(best.beyond.value)} beyond it"
    if ours.low <= 0 < best.score.value.low:
        return f"Yet {_worth(best)}, and {difference}: only its value is clearly above zero."
    if best.beyond.value.high < MATERIAL_SHARE * max(ours.value, best.score.value.value):
        return (
            f"{_called(best)} was worth as much: {number(best.score.value)}, and {difference}. For"
            " sizes alone, that is enough."
        )
    return (
        f"It is not clear whether it is worth running beside simple tools: {_worth(best)}, and"
        f" {difference}."
    )


def _called(peer: Peer) -> str:
    return CALLED[peer.name][0].upper() + CALLED[peer.name][1:]


def _worth(peer: Peer) -> str:
    return f"{CALLED[peer.name]} was worth {number(peer.score.value)}"


def switches(
    settings: Mapping[str, Setting],
    config: LearningConfig,
    found: Decay,
    always: Mapping[str, Score] = MappingProxyType({}),
    weights: Sequence[Weight] = (),
) -> list[Switch]:
    """The recommended settings with reasons; `always` has, by learner, what it would add if it were
    always on instead of weighted by its past accuracy."""
    edge = has_edge(settings)
    ours, theirs = settings["integrated"], settings["classic"]
    against = _beyond(theirs).value
    recommended, reason = "integrated", ""
    if not edge:
        reason = (
            "Neither learning method has a clear value here: keep sizes as they are, and do not"
            f" apply the overrides until that changes. `integrated` has {_false(ours)}, `classic`"
            f" {_false(theirs)}."
        )
    elif against.high < 0:
        recommended, reason = (
            "classic",
            (
                f"Its sizes are worth more: {number(against)} per decision for `integrated` over"
                " `classic`."
            ),
        )
    elif against.low > 0:
        reason = f"Its sizes are worth more: {number(against)} per decision over `classic`."
    else:
        reason = (
            f"It is not clear which is worth more ({number(against)} per decision for"
            f" `integrated`). `integrated` has {_false(ours)}, `classic` {_false(theirs)}."
        )
    made = [
        Switch(
            variable="EDGELOOP_LEARNING",
            now=config.learning,
            recommended=recommended if edge else f"{recommended} (not applied to sizes)",
            reason=reason,
        )
    ]
    for name, field in LEARNERS.items():
        gain, on = _beyond(settings[f"no {name}"]), always.get(name)
        word, reason = _learner(gain, on, MATERIAL_SHARE * max(ours.score.value.value, 0.0))
        if (
            name == "half-life"
            and not _sure(gain.value)
            and max(found.exponential_over_constant.low, found.linear_over_constant.low) > 0
        ):
            reason = f"Edges do fade. {reason}"
        counts = [getattr(w, COUNTED[name]) for w in weights] if name in COUNTED else []
        if counts and word == AUTO:
            between = f"{min(counts):.2f}" + (
                f" to {max(counts):.2f}" if f"{min(counts):.2f}" != f"{max(counts):.2f}" else ""
            )
            reason += f" Its past accuracy gives it a weight of {between} now (at most 1)."
        made.append(
            Switch(
                variable=f"EDGELOOP_{field.upper()}",
                now=_word(getattr(config, field)),
                recommended=word,
                reason=reason,
                adds=gain.value,
                always=on.value if on is not None else None,
            )
        )
    return made


def _learner(gain: Score, on: Score | None, material: float) -> tuple[str, str]:
    """The recommended setting of a learner, with the reason.  Weighted by its record it adds `gain`
    over off; always on, it would add `on` to that.

    A default that certainly costs something is not kept, however small the cost.  Always on
    replaces it only if that gain is material, too.
    """
    if gain.value.high < 0:
        return OFF, f"It has a cost: {number(gain.value)} of value per decision."
    if on is not None and on.value.low > 0 and on.value.value >= material:
        return (
            ON,
            (
                f"Always on, it adds {number(on.value)} of value per decision to the"
                f" {number(gain.value)} that it adds as weighted by its past accuracy."
            ),
        )
    if gain.sized == 0.0:
        return AUTO, "It changed no judged size, so it costs nothing."
    if gain.value.low > 0:
        return AUTO, f"It adds {number(gain.value)} of value per decision."
    return (
        AUTO,
        (
            f"It adds {number(gain.value)} per decision, which could be chance; there is no reason"
            " to change the default."
        ),
    )


def _word(switch: bool | None) -> str:
    return AUTO if switch is None else ON if switch else OFF


def _sure(figure: Estimate) -> bool:
    return figure.low > 0 or figure.high < 0


def number(figure: Estimate) -> str:
    """A figure with its interval, as text.

    >>> number(Estimate(0.1, 0.05, 0.2)), number(Estimate(0.0, float("-inf"), float("inf")))
    ('+0.1000 (0.0500 to 0.2000)', '+0.0000 (unknown)')
    """
    if figure.low == float("-inf") or figure.high == float("inf"):
        return f"{figure.value:+.4f} (unknown)"
    return f"{figure.value:+.4f} ({figure.low:.4f} to {figure.high:.4f})"


def _false(setting: Setting) -> str:
    placebo = setting.placebo
    if placebo is None or not placebo.counts:
        return f"{setting.overrides:,} overrides"
    return f"{placebo.real:,} overrides where chance alone gives {placebo.mean:,.1f}"


def _beyond(setting: Setting) -> Score:
    if setting.beyond is None:
        raise ValueError("`integrated` is the reference itself.")
    return setting.beyond


def _switching(setting: Setting, what: str) -> str:
    if not setting.changed:
        return f"{what} today's overrides are the same."
    n = setting.changed
    return (
        f"{what} {n:,} override{'s' * (n != 1)} of today {'are' if n != 1 else 'is'} different, the"
        f" largest difference of a multiplier is {setting.greatest:.2f}, and"
        f" {setting.beyond.sized if setting.beyond else 0.0:.0%} of the judged decisions would have"
        " had another size."
    )
