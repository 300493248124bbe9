"""IC-LPIPS: streaming against every pair by the lpips package, each dialect against loops from its rule."""

from __future__ import annotations

import itertools

import lpips
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.features import profile
from bench.metrics import (
    IC_LPIPS_DIALECTS,
    IcLpipsAccumulator,
    MetricInputError,
    UndefinedMetricError,
    ic_lpips,
    stream_order,
)


def table(stages, others):
    """Squared distances [N, k] of stage tensors, in float64."""
    return sum(
        torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist") ** 2
        for a, b in zip(stages, others, strict=True)
    ).numpy()


def loop(to_centres, between, rule, order):
    """The rule, image by image and pair by pair."""
    clusters = [[] for _ in range(to_centres.shape[1])]
    for image in order:
        best = 0
        for k, distance in enumerate(to_centres[image]):
            if distance < to_centres[image][best] or (
                rule.last_on_tie and distance == to_centres[image][best]
            ):
                best = k
        if rule.cap is None or len(clusters[best]) < rule.cap:
            clusters[best].append(image)
    values = []
    for members in clusters:
        if len(members) > 1:
            values.append(np.mean([between[i, j] for i, j in itertools.combinations(members, 2)]))
        elif rule.zeros_kept:
            values.append(0.0)
    return np.mean(values)


@pytest.fixture(scope="module")
def embedded():
    return profile("embedded")


@pytest.fixture(scope="module")
def sets(images):
    return images(30, 48, seed=5), images(6, 48, seed=6)


@pytest.mark.parametrize("network", ["lpips-alex", "lpips-vgg"])
def test_it_is_the_lpips_package_over_every_pair(random_weights, images, network):
    made, real = images(6, 48, seed=8), images(2, 48, seed=9)
    model = lpips.LPIPS(net=network.removeprefix("lpips-"), pnet_rand=True, verbose=False)
    file = {"lpips-vgg": "vgg16.pth", "lpips-alex": "alexnet-owt.pth"}[network]
    state = torch.load(random_weights / file, weights_only=True)
    model.net.load_state_dict(dict(zip(model.net.state_dict(), state.values(), strict=False)))
    a, b = (torch.from_numpy(s).permute(0, 3, 1, 2).float() / 127.5 - 1 for s in (made, real))
    with torch.inference_mode():
        to_centres = np.array([[float(model(x[None], y[None])) for y in b] for x in a])
        between = np.zeros((6, 6))
        for i, j in itertools.combinations(range(6), 2):
            between[i, j] = float(model(a[i : i + 1], a[j : j + 1]))
    reference = loop(to_centres, between, IC_LPIPS_DIALECTS["default"], range(6))
    result = ic_lpips(made, real, features=network, profile=profile("canonical", random_weights))
    assert result.value > 0.01
    assert result.value == pytest.approx(reference, rel=1e-5)


@pytest.mark.parametrize("dialect", ["default", "ojha", "anomalyhybrid"])
def test_each_dialect_is_its_rule(embedded, sets, dialect):
    made, real = sets
    stages, centres = embedded.perceptual(made), embedded.perceptual(real)
    order = stream_order(len(made), dialect, seed=3)
    reference = loop(table(stages, centres), table(stages, stages), IC_LPIPS_DIALECTS[dialect], order)
    result = ic_lpips(made, real, features="embedded-stages", dialect=dialect, profile=embedded, seed=3)
    assert result.value == pytest.approx(reference, rel=1e-6)
    assert sum(result.assigned) == len(made)


@pytest.mark.parametrize("dialect", ["seas", "dfmgan"])
def test_seas_and_dfmgan_feed_unscaled_centres_to_their_own_network(random_weights, images, dialect):
    made, real = images(8, 48, seed=8), images(4, 48, seed=9)
    canonical = profile("canonical", random_weights)
    rule = IC_LPIPS_DIALECTS[dialect]
    assert rule.network == {"seas": "lpips-vgg", "dfmgan": "lpips-alex"}[dialect]
    stages = canonical.perceptual(made, rule.network)
    raw = canonical.perceptual(real, rule.network, scaled=False)
    result = ic_lpips(made, real, dialect=dialect, profile=canonical)
    assert result.network == rule.network
    assert result.value == pytest.approx(
        loop(table(stages, raw), table(stages, stages), rule, range(8)), rel=1e-5
    )


@pytest.fixture(scope="module")
def many():
    """320 points of 5 numbers about 4 centres, one of them alone: enough to fill every cap."""
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 0, 0, 0], [25, 0, 0, 0, 0], [0, 25, 0, 0, 0], [0, 0, 0, 0, 99]], np.float32)
    group = np.concatenate([np.zeros(230, int), np.ones(89, int), [2]])
    points = (centres[group] + rng.normal(size=(320, 5)) * np.linspace(0.2, 2, 320)[:, None]).astype(
        np.float32
    )
    return [torch.from_numpy(points)], [torch.from_numpy(centres)]


def stream(many, dialect, seed=0, batch=7):
    points, centres = many
    accumulator = IcLpipsAccumulator(centres, dialect)
    order = stream_order(len(points[0]), dialect, seed)
    for start in range(0, len(order), batch):
        accumulator.update([stage[order[start : start + batch]] for stage in points])
    return accumulator.result()


@pytest.mark.parametrize("dialect", list(IC_LPIPS_DIALECTS))
def test_caps_zeros_and_small_clusters_follow_the_rule(many, dialect):
    points, centres = many
    rule = IC_LPIPS_DIALECTS[dialect]
    reference = loop(table(points, centres), table(points, points), rule, stream_order(320, dialect))
    result = stream(many, dialect)
    assert result.value == pytest.approx(reference, rel=1e-6)
    assert result.assigned == (230, 89, 1, 0)
    assert result.members == tuple(min(n, rule.cap or n) for n in result.assigned)
    assert (result.clusters, result.empty, result.single) == (4, 1, 1)
    assert result.cluster_values[2:] == (None, None)


def test_the_dialects_give_different_numbers(many):
    values = {d: round(stream(many, d).value, 6) for d in ("default", "ojha", "seas", "dfmgan")}
    assert len(set(values.values())) == 4, values


def test_ojhas_members_are_drawn_by_the_seed(many):
    assert stream(many, "ojha", seed=1) == stream(many, "ojha", seed=1)
    assert stream(many, "ojha", seed=1).value != stream(many, "ojha", seed=2).value


def test_a_tie_goes_to_the_first_centre_or_with_ojha_to_the_last():
    points = [torch.tensor([[0.0], [0.5], [0.25]])]
    centres = [torch.tensor([[1.0], [1.0]])]
    for dialect, expected in (("default", (3, 0)), ("ojha", (0, 3))):
        accumulator = IcLpipsAccumulator(centres, dialect)
        accumulator.update(points)
        assert accumulator.result().assigned == expected


def test_batches_do_not_change_the_result(many):
    assert stream(many, "default", batch=1).value == pytest.approx(
        stream(many, "default", batch=320).value, rel=1e-9
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 25), st.integers(1, 5), st.integers(1, 30))
def test_without_a_cap_it_is_the_rule_at_any_points_and_does_not_see_their_order(seed, count, centres, batch):
    draw = np.random.default_rng(seed)
    points = draw.normal(size=(count, 4)).astype(np.float32)[draw.integers(0, count, count)]
    sets = [torch.from_numpy(points)], [torch.from_numpy(draw.normal(size=(centres, 4)).astype(np.float32))]
    rule, order = IC_LPIPS_DIALECTS["default"], range(count)
    if len(np.unique(table(*sets).argmin(axis=1))) == count:  # each alone
        with pytest.raises(UndefinedMetricError):
            stream(sets, "default", batch=batch)
        return
    value = stream(sets, "default", batch=batch).value
    reference = loop(table(*sets), table(sets[0], sets[0]), rule, order)
    assert value == pytest.approx(reference, rel=1e-5, abs=1e-6)
    turned = [sets[0][0].flip(0)], sets[1]
    assert stream(turned, "default").value == pytest.approx(value, rel=1e-6, abs=1e-9)


def test_anomalyhybrid_takes_at_most_a_hundred_centres(embedded, images):
    made, real = images(60, 16, seed=0), images(130, 16, seed=1)
    arguments = {"features": "embedded-stages", "profile": embedded}
    result = ic_lpips(made, real, dialect="anomalyhybrid", **arguments)
    assert result.clusters == 100
    assert abs(result.value / ic_lpips(made, real, **arguments).value - 1) > 1e-3
    assert result == ic_lpips(made, real, dialect="anomalyhybrid", **arguments)
    assert result != ic_lpips(made, real, dialect="anomalyhybrid", seed=1, **arguments)


def test_with_masks_only_what_lies_inside_counts(embedded, sets):
    made, real = sets
    masks = np.zeros(made.shape[:3], bool)
    masks[:, 10:30, 12:36] = True
    other = np.where(masks[..., None], made, 255 - made)
    arguments = {"features": "embedded-stages", "profile": embedded, "masks": (masks, masks[: len(real)])}
    assert ic_lpips(other, real, **arguments) == ic_lpips(made, real, **arguments)
    assert ic_lpips(made, real, **arguments).value != ic_lpips(made, real, features="embedded-stages").value


def test_identical_images_have_no_diversity(embedded, images):
    same = np.repeat(images(1, 48, seed=0), 5, axis=0)
    assert ic_lpips(same, images(2, 48, seed=1), features="embedded-stages", profile=embedded).value < 1e-9


def test_what_cannot_be_measured_is_refused(embedded, sets):
    made, real = sets
    with pytest.raises(UndefinedMetricError, match="no cluster has two"):
        ic_lpips(made[:1], real, features="embedded-stages", profile=embedded)
    with pytest.raises(MetricInputError, match="differ in size"):
        ic_lpips(made, real[:, :40], features="embedded-stages", profile=embedded)
    with pytest.raises(MetricInputError, match="uint8"):
        ic_lpips(made / 255, real, features="embedded-stages", profile=embedded)
    with pytest.raises(MetricInputError, match="batch"):
        ic_lpips(made, real, features="embedded-stages", profile=embedded, batch=0)
    inside = np.ones(made.shape[:3], bool)
    for masks, words in (
        (inside, "a pair"),
        ((inside[:4], inside[: len(real)]), "do not fit"),
        ((np.concatenate([inside, inside]), inside[: len(real)]), "do not fit"),
    ):
        with pytest.raises(MetricInputError, match=words):
            ic_lpips(made, real, features="embedded-stages", profile=embedded, masks=masks)
    with pytest.raises(MetricInputError, match="dialect"):
        ic_lpips(made, real, dialect="best", profile=embedded)
    with pytest.raises(MetricInputError, match="NaN"):
        IcLpipsAccumulator([torch.zeros(2, 3)]).update([torch.full((1, 3), torch.nan)])
