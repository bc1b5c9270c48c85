"""Assemble the document from the pieces of work.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.audit import answers, decay, exploration
from app.audit.bootstrap import UNKNOWN, Estimate, Resampler
from app.audit.document import (
    Audit,
    AuditedOverride,
    Bin,
    Curve,
    Data,
    Decay,
    DoubleCounting,
    EffectCurve,
    Exploration,
    Overlap,
    Peer,
    Placebo,
    Refusal,
    Regimes,
    Setting,
    Weight,
)
from app.audit.placebo import counted
from app.audit.regime_gains import gains
from app.audit.score import compared, score, values
from app.audit.trades import Refused
from app.audit.variants import LEARNERS, variants
from app.audit.walk_forward import (
    HORIZON_US,
    Cut,
    Judgements,
    baseline_of,
    summary,
)
from app.audit.work import AuditPlan, Done, Now
from app.kafka.skipped import Skipped
from app.learning.common.event_time import DAY_US, text_from_micros
from app.learning.common.size_unit import unit_of_size

Floats = NDArray[np.float64]

BINS = 10
STRETCHES = 12
SHOWN_OVERRIDES = 40
"""Overrides that are shown."""
MONTH_US = 30 * DAY_US
CURVES = ("integrated", "classic", *(f"no {name}" for name in LEARNERS))


def audit(
    plan: AuditPlan,
    done: Done,
    source: str,
    refused: Sequence[Refused],
    skipped: Skipped,
    seconds: float,
) -> Audit:
    """The document made from all results in `done`."""
    cuts = [cut for of_module in done.cuts.values() for cut in of_module]
    judged = summary(cuts)
    draws = Resampler(judged.cut_us, plan.seed)
    settings = {name: _setting(name, plan, done, judged, draws) for name in variants(plan.config)}
    peers = tuple(_peer(name, judged, draws) for name in judged.peers)
    always = {
        name: compared(m, judged.multipliers["integrated"], judged, draws)
        for name, m in judged.always.items()
    }
    weights = _weights(done.now)
    forms, regimes, doubled = (
        decay_of(cuts, plan.seed),
        regimes_of(judged, draws),
        double_counting_of(judged, draws),
    )
    return Audit(
        data=_data(plan, done, judged, source, refused, skipped),
        edge=answers.has_edge(settings),
        headline=f"{answers.headline(settings)} {answers.beside(settings, peers)}".rstrip(),
        questions=(
            answers.regimes(settings, regimes),
            answers.decays(settings, forms),
            answers.double_counting(settings, doubled),
        ),
        switches=tuple(answers.switches(settings, plan.config, forms, always, weights)),
        weights=weights,
        settings=tuple(settings.values()),
        peers=peers,
        double_counting=doubled,
        decay=forms,
        regimes=regimes,
        curves=tuple(_curve(name, judged, draws) for name in CURVES) if len(judged.uplift) else (),
        calibration={
            name: bins(judged.multipliers[name], judged.uplift)
            for name in ("integrated", "classic")
        },
        overrides=_overrides(done.now),
        exploration=_exploration(plan, done),
        seconds=seconds,
    )


def _data(
    plan: AuditPlan,
    done: Done,
    judged: Judgements,
    source: str,
    refused: Sequence[Refused],
    skipped: Skipped,
) -> Data:
    exits = [
        t.exit_us for m in plan.modules.values() for trades in m.trades.values() for t in trades
    ]
    ids = {
        (name, t.trade_id)
        for name, m in plan.modules.items()
        for trades in m.trades.values()
        for t in trades
    }
    return Data(
        source=source,
        modules=tuple(sorted(plan.modules)),
        categories=plan.categories,
        trades=len(ids),
        decisions=sum(len(m.decisions(plan.categories)) for m in plan.modules.values()),
        judged=len(judged.uplift),
        cuts=len({cut.cut_us for cuts in done.cuts.values() for cut in cuts}),
        from_ts=text_from_micros(min(exits)) if exits else "",
        to_ts=text_from_micros(max(exits)) if exits else "",
        window_days=plan.config.window_us / DAY_US,
        horizon_days=HORIZON_US / DAY_US,
        outcome=plan.config.outcome,
        placebos=plan.placebos,
        seed=plan.seed,
        refused=tuple(Refusal(*r) for r in refused),
        unreadable=skipped.count,
        first_unreadable=str(skipped.first[0]) if skipped.first else "",
    )


def _exploration(plan: AuditPlan, done: Done) -> Exploration | None:
    """The estimates from the decisions of all modules whose draw is logged."""
    outcome, parts = plan.config.outcome, []
    for name, module in sorted(plan.modules.items()):
        now = done.now[name]
        expected = baseline_of(now.baselines, plan.config.baseline_default)
        unit = unit_of_size(outcome, now.summaries)
        parts.append(exploration.drawn(module.decisions(plan.categories), expected, unit, outcome))
    if not parts:
        return None
    found = exploration.joined([part for part, _, _ in parts])
    n = sum(len(part.u) for part, _, _ in parts)
    share = sum(len(part.u) * share for part, _, share in parts) / n if n else 0.0
    return exploration.exploration(found, sum(unusable for _, unusable, _ in parts), share)


def _setting(
    name: str, plan: AuditPlan, done: Done, judged: Judgements, draws: Resampler
) -> Setting:
    overrides = [o for now in done.now.values() for o in now.overrides[name]]
    counts = done.placebos.get(name, [])
    slope, intercept = calibration(judged.multipliers[name], judged.uplift, draws)
    changes = [now.changes[name] for now in done.now.values()]
    return Setting(
        name=name,
        overrides=len(overrides),
        score=score(judged.multipliers[name], judged, draws),
        slope=slope,
        intercept=intercept,
        turnover=turnover([cuts for cuts in done.cuts.values()], name),
        overlap=_overlap(judged.matched[name], draws),
        placebo=_placebo(counted(overrides, plan.categories), counts)
        if name in done.placebos
        else None,
        beyond=None
        if name == "integrated"
        else compared(judged.multipliers["integrated"], judged.multipliers[name], judged, draws),
        changed=sum(n for n, _ in changes),
        greatest=max((size for _, size in changes), default=0.0),
    )


def _peer(name: str, judged: Judgements, draws: Resampler) -> Peer:
    multiplier = judged.peers[name]
    return Peer(
        name=name,
        score=score(multiplier, judged, draws),
        slope=calibration(multiplier, judged.uplift, draws)[0],
        beyond=compared(judged.multipliers["integrated"], multiplier, judged, draws),
    )


def _weights(now: dict[str, Now]) -> tuple[Weight, ...]:
    return tuple(
        Weight(
            module=module,
            category=category,
            half_life=c.half_life,
            shared_effects=c.shared,
            opened=c.open,
        )
        for module, state in sorted(now.items())
        for category, c in sorted(state.counts.items())
    )


def _placebo(real: int, counts: Sequence[int]) -> Placebo:
    mean = float(np.mean(counts)) if counts else 0.0
    return Placebo(
        real=real, counts=tuple(counts), mean=mean, share=mean / real if real and counts else None
    )


def _overlap(matched: NDArray[np.int64], draws: Resampler) -> Overlap:
    any_ = matched > 0
    if not any_.any():
        return Overlap(decisions=0, matched=0.0, several=UNKNOWN)
    return Overlap(
        decisions=int(any_.sum()),
        matched=float(matched[any_].mean()),
        several=draws.share((matched > 1).astype(np.float64), any_.astype(np.float64)),
    )


def calibration(
    multiplier: Floats, uplift: Floats, draws: Resampler
) -> tuple[Estimate | None, Estimate | None]:
    """Slope and intercept of the least-squares line of uplift on (multiplier − 1); None where
    nothing was sized."""
    p = multiplier - 1.0
    if not len(p) or p.std() == 0.0:
        return None, None
    n, sp, su, spp, spu = draws.sums(np.ones(len(p)), p, uplift, p * p, p * uplift).T
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (spu - sp * su / n) / (spp - sp * sp / n)
        return draws.estimate(slope), draws.estimate((su - slope * sp) / n)


def bins(multiplier: Floats, uplift: Floats) -> tuple[Bin, ...]:
    """Sized decisions by multiplier, in at most `BINS` bins of equal numbers."""
    sized = np.flatnonzero(multiplier != 1.0)
    if not len(sized):
        return ()
    order = sized[np.argsort(multiplier[sized], kind="stable")]
    return tuple(
        Bin(
            float(multiplier[part].mean()) - 1.0,
            float(uplift[part].mean()),
            float(uplift[part].std() / np.sqrt(len(part))),
            len(part),
        )
        for part in np.array_split(order, min(BINS, len(order)))
    )


def turnover(modules: Sequence[Sequence[Cut]], name: str) -> float | None:
    """Mean change of a context's multiplier from cut to cut, per month; None with fewer than two
    cuts."""
    moved = months = 0.0
    for cuts in modules:
        for before, after in pairwise(cuts):
            if len(after.probes[name]):
                moved += float(np.abs(after.probes[name] - before.probes[name]).mean())
                months += (after.cut_us - before.cut_us) / MONTH_US
    return moved / months if months else None


def decay_of(cuts: Sequence[Cut], seed: int) -> Decay:
    """How well each form of decay predicted."""
    found = decay.together([cut.decay for cut in cuts])
    if not len(found.at_us):
        return Decay(
            trades=0,
            effects=found.n_effects,
            skill=UNKNOWN,
            exponential_over_linear=UNKNOWN,
            exponential_over_constant=UNKNOWN,
            linear_over_constant=UNKNOWN,
        )
    draws = Resampler(np.concatenate([np.full(len(c.decay.at_us), c.cut_us) for c in cuts]), seed)
    nothing, constant, linear, exponential = found.log_density.T
    best = max((constant, linear, exponential), key=lambda scored: float(scored.sum()))
    return Decay(
        trades=len(found.at_us),
        effects=found.n_effects,
        skill=draws.mean(best - nothing),
        exponential_over_linear=draws.mean(exponential - linear),
        exponential_over_constant=draws.mean(exponential - constant),
        linear_over_constant=draws.mean(linear - constant),
    )


def regimes_of(judged: Judgements, draws: Resampler) -> Regimes:
    """How edges differ by regime."""
    found = gains(judged, draws)
    seen = len(np.unique(judged.regime[judged.regime != ""])) > 1
    return Regimes(
        seen=seen, gains=tuple(found.regimes), overall=found.overall, attainable=found.attainable
    )


def double_counting_of(judged: Judgements, draws: Resampler) -> DoubleCounting:
    """How often `classic` counts one piece of evidence twice, and what that changes."""
    matched = judged.matched["classic"]
    any_ = matched > 0
    if not any_.any():
        return DoubleCounting(
            decisions=0,
            repeated=UNKNOWN,
            doubled=UNKNOWN,
            matched=0.0,
            distinct=0.0,
            change=UNKNOWN,
            worth=UNKNOWN,
        )
    multiplier = judged.multipliers["classic"]
    return DoubleCounting(
        decisions=int(any_.sum()),
        repeated=draws.share(
            (matched - judged.distinct).astype(np.float64), matched.astype(np.float64)
        ),
        doubled=draws.share(
            (judged.distinct < matched).astype(np.float64), any_.astype(np.float64)
        ),
        matched=float(matched[any_].mean()),
        distinct=float(judged.distinct[any_].mean()),
        change=draws.mean(np.abs(judged.merged - multiplier), any_.astype(np.float64)),
        worth=compared(judged.merged, multiplier, judged, draws).value,
    )


def _curve(name: str, judged: Judgements, draws: Resampler) -> Curve:
    total, low, high = draws.band(values(judged.multipliers[name], judged))
    return Curve(
        name=name,
        cuts=tuple(text_from_micros(int(cut))[:10] for cut in draws.cuts),
        total=tuple(total.round(6).tolist()),
        low=tuple(low.round(6).tolist()),
        high=tuple(high.round(6).tolist()),
    )


def _overrides(now: dict[str, Now]) -> tuple[AuditedOverride, ...]:
    found = []
    for state in now.values():
        reasons = {v.lesson_id: v.reason for v in state.verdicts}
        factors = {f.factor_id: f.members for f in state.factors}
        effects = {e.lesson.lesson_id: e for e in state.effects}
        for o in state.overrides["integrated"]:
            effect = effects.get(o.override_id)
            members = tuple(
                m for m in factors.get(o.latent_factor_id or "", ()) if m != o.override_id
            )
            curve = effect_curve(effect) if effect is not None else None
            found.append(
                AuditedOverride(
                    override=o, reason=reasons.get(o.override_id, ""), members=members, curve=curve
                )
            )
    return tuple(
        sorted(found, key=lambda t: (-abs(t.override.multiplier - 1.0), t.override.override_id))[
            :SHOWN_OVERRIDES
        ]
    )


def effect_curve(effect: decay.TrackedEffect) -> EffectCurve:
    """The trades of an effect in stretches of equal numbers, and the three fitted forms."""
    newest = float(effect.hours[-1])
    parts = np.array_split(
        np.arange(len(effect.hours)), min(STRETCHES, max(1, len(effect.hours) // 5))
    )
    at = np.linspace(float(effect.hours[0]), newest, 60)
    fits = {
        form: decay.fit(form, effect.hours, effect.uplift, max(effect.noise_sd, 1e-9)).curve(at)
        for form in decay.FORMS
    }

    def rounded(x: Floats) -> tuple[float, ...]:
        return tuple(x.round(5).tolist())

    return EffectCurve(
        days=rounded(np.array([(newest - effect.hours[part].mean()) / 24.0 for part in parts])),
        uplift=rounded(np.array([effect.uplift[part].mean() for part in parts])),
        se=rounded(np.array([effect.noise_sd / np.sqrt(len(part)) for part in parts])),
        at_days=rounded((newest - at) / 24.0),
        **{form: rounded(curve) for form, curve in fits.items()},
    )
