"""Factors equal plain average linkage on Jaccard indices, for any order and history."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.integrated import components, distinct_sketches, jaccards, linkage
from app.learning.integrated import sketches as sketches_module
from app.learning.integrated.latent_factors import Clusterer, Factor, Member, cluster
from app.learning.integrated.sketches import (
    SKETCH_SIZE,
    Hashes,
    decode,
    encode,
    jaccard,
    sketches,
    trade_hash,
)

HASHES = np.array([trade_hash(f"trade-{i}") for i in range(20_000)], np.uint64)


def member(
    lesson_id: str, trades: Sequence[int] | np.ndarray, n_dims: int = 1, group: str = "g"
) -> Member:
    trades = np.unique(np.asarray(trades, np.int64))
    return Member(lesson_id, group, len(trades), n_dims, np.sort(HASHES[trades])[:SKETCH_SIZE])


def sets(found: list[Factor]) -> list[tuple[str, ...]]:
    return sorted(f.members for f in found)


# Sets of few trades, so that many are equal, or near the bar, or tied.
TRADES = st.sets(st.integers(0, 13), min_size=1)
RUNS = st.builds(
    lambda start, n, skipped: set(range(start, start + n)) - {skipped},
    st.integers(0, 9),
    st.integers(2, 12),
    st.integers(0, 20),
)
MEMBERS = st.lists(st.tuples(st.one_of(TRADES, RUNS), st.integers(0, 2)), max_size=14).map(
    lambda rows: [
        member(f"L{i:02d}", sorted(trades), n_dims, f"g{i % 3}")
        for i, (trades, n_dims) in enumerate(rows)
    ]
)


def reference(members: list[Member], bar: float) -> list[tuple[str, ...]] | None:
    """Average linkage of the distinct sets of trades, by its definition; None if a tie or the
    threshold is so close that rounding decides."""
    points: dict[bytes, list[Member]] = {}
    for m in members:
        points.setdefault(m.sketch.tobytes(), []).append(m)
    clusters = [[ms] for ms in points.values()]
    while len(clusters) > 1:
        means = sorted(
            (
                (
                    -float(
                        np.mean(
                            [
                                jaccard(a[0].sketch, a[0].n, b[0].sketch, b[0].n)
                                for a in left
                                for b in right
                            ]
                        )
                    ),
                    i,
                    j,
                )
                for (i, left), (j, right) in itertools.combinations(enumerate(clusters), 2)
            )
        )
        best, i, j = means[0]
        if abs(-best - bar) < 1e-6 or (
            len(means) > 1 and means[1][0] - best < 1e-6 and -best > bar
        ):
            return None
        if -best < bar:
            break
        clusters[i] += clusters.pop(j)
    found = [tuple(sorted(m.lesson_id for ms in c for m in ms)) for c in clusters]
    return sorted(ids for ids in found if len(ids) > 1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_three_overlapping_slices_in_any_order(order: tuple[int, ...]) -> None:
    members = [member("a", range(7)), member("b", range(1, 8)), member("c", range(2, 9))]
    (factor,) = cluster([members[i] for i in order])
    assert factor.members == ("a", "b")
    assert factor.representative == "a"
    assert factor.cohesion == 0.75
    assert jaccard(members[0].sketch, 7, members[2].sketch, 7) == 5 / 9


def test_ids_do_not_change() -> None:
    assert trade_hash("t1") == 62791285183997
    (factor,) = cluster([member("a", range(40)), member("b", range(40))])
    assert factor.factor_id == "4e959e9f448554d14fe9e4dc7619b11d"
    (same,) = cluster([member("c", range(2, 40)), member("b", range(40)), member("a", range(40))])
    assert same.factor_id == factor.factor_id


def test_the_representative_has_most_trades_then_fewest_dimensions_then_the_smallest_id() -> None:
    base = [member("d", range(100), 2), member("c", range(1, 101), 2), member("b", range(99), 0)]
    assert cluster(base)[0].representative == "c"
    assert cluster([*base, member("e", range(2, 102), 1)])[0].representative == "e"
    assert cluster([*base, member("a", range(101), 4)])[0].representative == "a"


def test_exact_clones_of_other_groups_are_a_factor_and_a_lone_slice_is_none() -> None:
    assert cluster([]) == []
    assert cluster([member("a", range(50))]) == []
    big = range(2000)
    found = cluster(
        [
            member("a", big, group="g"),
            member("b", big, group="h"),
            member("c", range(3000, 3100), group="h"),
        ]
    )
    assert [(f.members, f.cohesion) for f in found] == [(("a", "b"), 1.0)]


def test_a_bar_that_makes_no_sense_and_one_id_twice_are_refused() -> None:
    for bar in (0.49, 1.01):
        with pytest.raises(ValueError, match="bar"):
            cluster([], bar)
    with pytest.raises(ValueError, match="same lesson id"):
        cluster([member("a", [1]), member("a", [2])])


@settings(max_examples=150)
@given(MEMBERS, st.sampled_from([0.5, 0.6, 0.7, 0.85, 1.0]))
def test_plain_average_linkage(members: list[Member], bar: float) -> None:
    wanted = reference(members, bar)
    if wanted is not None:
        assert sets(cluster(members, bar)) == wanted


@settings(max_examples=100)
@given(
    MEMBERS,
    st.randoms(use_true_random=False),
    st.sampled_from([0.5, 0.7]),
    st.sampled_from([3, 2048]),
)
def test_the_order_does_not_matter(
    members: list[Member], random: object, bar: float, max_block: int
) -> None:
    shuffled = list(members)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkage, "MAX_BLOCK", max_block)
        assert cluster(shuffled, bar) == cluster(members, bar)


STEP = st.tuples(
    st.lists(st.tuples(st.integers(0, 16), st.one_of(TRADES, RUNS)), max_size=4),
    st.lists(st.integers(0, 16), max_size=4),
)


@settings(max_examples=100)
@given(
    MEMBERS,
    st.lists(STEP, max_size=4),
    st.sampled_from([0.5, 0.7]),
    st.sampled_from([(3, 24), (2048, 1), (2048, 24)]),
)
def test_kept_up_to_date_equals_fresh(
    members: list[Member],
    steps: list[tuple[list[tuple[int, set[int]]], list[int]]],
    bar: float,
    sizes: tuple[int, int],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linkage, "MAX_BLOCK", sizes[0])
        patch.setattr(jaccards, "SMALL_BLOCK", sizes[1])
        clusterer = Clusterer(bar)
        clusterer.update(members)
        now = {m.lesson_id: m for m in members}
        for changed, gone in steps:
            new = {f"L{i:02d}": member(f"L{i:02d}", sorted(trades)) for i, trades in changed}
            clusterer.update(new.values(), [f"L{i:02d}" for i in gone])
            now = {k: m for k, m in now.items() if k not in {f"L{i:02d}" for i in gone}} | new
            assert clusterer.factors() == cluster(list(now.values()), bar)


@settings(max_examples=100)
@given(MEMBERS.filter(bool), st.data())
def test_a_clone_moves_no_other_slice(members: list[Member], data: st.DataObject) -> None:
    cloned = data.draw(st.sampled_from(members))
    clone = cloned._replace(lesson_id="Z")
    before = {f.members for f in cluster(members)}
    after = {f.members for f in cluster([*members, clone])}
    joined = next(ids for ids in after if "Z" in ids)
    assert cloned.lesson_id in joined
    rest = tuple(i for i in joined if i != "Z")
    assert (after - {joined}) | ({rest} if len(rest) > 1 else set()) == before


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, 40), max_size=60), st.integers(0, 5), st.randoms(use_true_random=False)
)
def test_sketches_are_the_smallest_hashes(values: list[int], n_slices: int, random: object) -> None:
    hashes = np.array(values, np.uint64)
    inside = np.array(
        [[random.random() < 0.6 for _ in values] for _ in range(n_slices)], np.bool_
    ).reshape(n_slices, len(values))  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketches_module, "SKETCH_SIZE", 7)
        found = sketches(hashes, inside)
    assert [s.tolist() for s in found] == [sorted(set(hashes[row].tolist()))[:7] for row in inside]


@given(st.lists(st.integers(0, 2**48 - 1), unique=True, max_size=20))
def test_a_sketch_survives_its_text(values: list[int]) -> None:
    sketch = np.array(sorted(values), np.uint64)
    assert decode(encode(sketch)).tolist() == sketch.tolist()
    assert len(encode(sketch)) == 8 * len(values)


def test_a_broken_text_is_refused() -> None:
    for text in ("AAAA", "not base64!"):
        with pytest.raises(ValueError, match=r"."):
            decode(text)


@pytest.mark.parametrize(
    ("n_a", "n_b", "common"),
    [(1000, 1000, 824), (3000, 2100, 2100), (600, 520, 500), (500, 600, 450), (5000, 5000, 3333)],
)
def test_jaccard_is_within_its_error_above_512(n_a: int, n_b: int, common: int) -> None:
    rng = np.random.default_rng(n_a)
    true = common / (n_a + n_b - common)
    errors = []
    for _ in range(300):
        hashes = rng.integers(0, 2**48, n_a + n_b - common).astype(np.uint64)
        a, b = (
            np.sort(hashes[:n_a])[:SKETCH_SIZE],
            np.sort(hashes[n_a - common : n_a - common + n_b])[:SKETCH_SIZE],
        )
        errors.append(jaccard(a, n_a, b, n_b) - true)
        assert jaccard(b, n_b, a, n_a) == jaccard(a, n_a, b, n_b) <= min(n_a, n_b) / max(n_a, n_b)
    assert np.sqrt(np.mean(np.square(errors))) <= 0.02
    # The estimate for a subset can only be too low: the ratio of sizes, which is its Jaccard index,
    # bounds it.
    assert abs(np.mean(errors)) <= (0.01 if common == n_b else 0.003)


def test_pairs_just_at_the_bar_are_found() -> None:
    rng = np.random.default_rng(1)
    for n in (33, 60, 130, 256, 420, 512):
        for smaller in (False, True):
            members = []
            for i in range(150):
                trades = rng.integers(0, 2**48, 2 * n).astype(np.uint64)
                if smaller:
                    a, b = trades[:n], trades[: int(np.ceil(0.7 * n))]
                else:
                    common = int(np.ceil(1.4 / 1.7 * n))
                    a, b = trades[:n], trades[n - common : 2 * n - common]
                members += [
                    Member(f"{i:03d}{side}", "g", len(s), 1, np.sort(s))
                    for side, s in (("a", a), ("b", b))
                ]
            assert sets(cluster(members)) == [(f"{i:03d}a", f"{i:03d}b") for i in range(150)]


@pytest.mark.parametrize("n", [200, 520, 2500])
def test_a_large_factor_has_the_mean_jaccard_of_its_pairs(n: int) -> None:
    rng = np.random.default_rng(n)
    base = rng.choice(len(HASHES), n, replace=False)
    members = [member(f"{i:02d}", base[rng.random(n) < rng.uniform(0.93, 1)]) for i in range(40)]
    (factor,) = cluster([*members, members[0]._replace(lesson_id="zz")])
    all_members = [*members, members[0]]
    pairs = [
        jaccard(a.sketch, a.n, b.sketch, b.n) for a, b in itertools.combinations(all_members, 2)
    ]
    assert len(factor.members) == 41
    assert factor.cohesion == pytest.approx(np.mean(pairs), abs=1e-12)


def test_a_component_too_large_for_one_go_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    members = [member(f"{i:02d}", [t for t in range(100) if t != i]) for i in range(20)]
    clones = [m._replace(lesson_id=f"clone of {m.lesson_id}") for m in members]
    assert [len(f.members) for f in cluster(members)] == [20]
    monkeypatch.setattr(linkage, "MAX_BLOCK", 8)
    assert sorted(len(f.members) for f in cluster(members)) == [4, 8, 8]
    assert sorted(len(f.members) for f in cluster([*clones, *members])) == [8, 16, 16]


def families(seed: int) -> tuple[list[Member], np.ndarray, list[np.ndarray]]:
    """A module of 12 groups that share trades: lone slices, clones and near-clones within and
    across groups; who belongs together."""
    rng = np.random.default_rng(seed)
    members, family, trades = [], [], []
    for name in range(150):
        start = int(rng.integers(0, 12)) * 1500
        n = int(np.exp(rng.uniform(np.log(40), np.log(3000))))
        base = rng.choice(np.arange(start, start + 3500) % len(HASHES), n, replace=False)
        for i in range(int(rng.choice([1, 1, 1, 2, 3, 6, 11]))):
            kept = (
                base if i == 0 or rng.random() < 0.4 else base[rng.random(n) < rng.uniform(0.86, 1)]
            )
            trades.append(np.unique(kept))
            members.append(
                member(
                    f"{name}-{i}",
                    trades[-1],
                    int(rng.integers(0, 4)),
                    f"g{(start // 1500 + i % 2) % 12}",
                )
            )
            family.append(name)
    return members, np.array(family), trades


@pytest.mark.parametrize("seed", range(4))
def test_families_are_recovered(seed: int) -> None:
    members, family, trades = families(seed)
    incidence = np.zeros((len(members), len(HASHES)), np.float32)
    for row, t in zip(incidence, trades, strict=True):
        row[t] = 1
    common = incidence @ incidence.T
    n = np.diag(common)
    near = np.abs(common / (n[:, None] + n[None, :] - common) - 0.7) < 0.05
    label = {i: k for k, f in enumerate(cluster(members)) for i in f.members}
    found = np.array([label.get(m.lesson_id, -1 - i) for i, m in enumerate(members)])
    upper = np.triu(~near, 1)
    true, told = (
        (family[:, None] == family[None, :])[upper],
        (found[:, None] == found[None, :])[upper],
    )
    a, b, c, d = (
        float((x & y).sum())
        for x, y in ((true, told), (true, ~told), (~true, told), (~true, ~told))
    )
    assert 2 * (a * d - b * c) / ((a + b) * (b + d) + (a + c) * (c + d)) >= 0.97


def test_one_group_of_many_changes() -> None:
    members, _, _ = families(7)
    clusterer = Clusterer()
    clusterer.update(members)
    whole = clusterer.factors()
    assert whole == cluster(members[::-1])
    group = [m for m in members if m.group == "g4"]
    assert 10 < len(group) < len(members) / 5
    clusterer.update([], [m.lesson_id for m in group])
    assert clusterer.factors() == cluster([m for m in members if m.group != "g4"])
    fewer = {
        m.lesson_id: m._replace(n=m.n - 1, sketch=m.sketch[1:])
        for m in group
        if 1 < m.n <= SKETCH_SIZE
    }
    clusterer.update([fewer.get(m.lesson_id, m) for m in group])
    assert clusterer.factors() == cluster([fewer.get(m.lesson_id, m) for m in members])
    clusterer.update(group)
    assert clusterer.factors() == whole


def test_the_sizes_of_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    members, _, _ = families(8)
    whole = cluster(members)
    for module, sizes in {
        distinct_sketches: {"ENTRIES": 20},
        jaccards: {"PAIRS": 7, "COLUMNS": 50},
        components: {"LISTED": 100, "COMPARED": 30},
    }.items():
        for name, size in sizes.items():
            monkeypatch.setattr(module, f"CHUNK_{name}", size)
    monkeypatch.setattr(jaccards, "SMALL_BLOCK", 4)
    assert cluster(members) == whole


def test_sketches_of_a_window() -> None:
    rng = np.random.default_rng(0)
    inside = rng.random((50, 3000)) < rng.random((50, 1))
    found = sketches(HASHES[:3000], inside)
    for row, sketch in zip(inside, found, strict=True):
        wanted: Hashes = np.sort(HASHES[:3000][row])[:SKETCH_SIZE]
        assert np.array_equal(sketch, wanted)
