"""Metrics side by side with the libraries that the field uses, on the same arrays in the same process.

The everyday part takes seconds. The long part (marked `full`) compares all peers at the sizes of whole
categories and writes a Markdown table to the file that DEFECTBENCH_METRICS_TABLE names, or prints it.
"""

from __future__ import annotations

import itertools
import os
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from bench.metrics import IcLpipsAccumulator, aupro, fid, inception_score, kid, pixel_metrics
from bench.metrics.ic_lpips import perceptual_features
from bench.metrics.ranking import tally_of
from bench.metrics.ranking.map_chunks import MapChunks

# --- peers ----------------------------------------------------------------------------------------------


def sklearn_pixels(maps, masks):
    truth, scores = masks.ravel(), maps.ravel()
    precision, recall, _ = precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return {
        "auroc": roc_auc_score(truth, scores),
        "ap": average_precision_score(truth, scores),
        "f1_max": f1.max(),
    }


def sorted_aupro(maps, masks, limit=0.3):
    """AUPRO by MVTec's definition and method: sort every score, accumulate both rates."""
    overlap, regions = np.zeros(maps.shape, np.float64), 0
    for mask, share in zip(masks, overlap, strict=True):
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        sizes = np.bincount(labels.ravel())
        share[mask] = 1.0 / sizes[labels[mask]]
        regions += count
    order = np.argsort(maps.ravel())[::-1]
    ranked = maps.ravel()[order]
    keep = np.append(ranked[1:] != ranked[:-1], True)
    rate = np.append(0.0, (np.cumsum(~masks.ravel()[order]) / (~masks).sum())[keep])
    share = np.append(0.0, (np.cumsum(overlap.ravel()[order]) / regions)[keep])
    inside = rate <= limit
    at = np.interp(limit, rate, share)
    x, y = np.append(rate[inside], limit), np.append(share[inside], at)
    return np.trapezoid(y, x) / limit


def torchmetrics_pixels(maps, masks):
    from torchmetrics.functional import classification as functional

    scores, truth = torch.from_numpy(maps.ravel()), torch.from_numpy(masks.ravel()).int()
    # anomalib's base: exact curves. The scores are squeezed into 0..1 here, as torchmetrics would otherwise
    # apply a sigmoid, which makes ties
    scores = scores / scores.max()
    precision, recall, _ = functional.binary_precision_recall_curve(scores, truth)
    return {
        "auroc": float(functional.binary_auroc(scores, truth)),
        "ap": float(functional.binary_average_precision(scores, truth)),
        "f1_max": float((2 * precision * recall / (precision + recall).clamp(min=1e-30)).max()),
    }


def adeval_pixels(maps, masks):
    adeval = pytest.importorskip("adeval")
    if not hasattr(np, "trapz"):
        setattr(np, "trapz", np.trapezoid)  # noqa: B010 - adeval 1.1 calls the name that numpy 2.4 dropped
    low, high = float(maps.min()), float(maps.max())
    peer = adeval.EvalAccumulator(low, high, low, high)
    for amap, mask in zip(maps, masks, strict=True):
        peer.add_anomap(amap, mask.astype(np.uint8))
    peer.add_image(np.array([0.0, 1.0]) * (high - low) + low, np.array([0, 1]))
    result = peer.summary()
    return {"auroc": result["p_auroc"], "ap": result["p_aupr"], "aupro": result["p_aupro"]}


def subset_kid(x, y, size):
    from torch_fidelity.metric_kid import kid_features_to_metric

    result = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subset_size=size, verbose=False
    )
    return result["kernel_inception_distance_mean"]


def root_fid(x, y):
    gap = x.mean(axis=0) - y.mean(axis=0)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return gap @ gap + np.trace(a) + np.trace(b) - 2 * np.trace(scipy.linalg.sqrtm(a @ b)).real


def pooled_features(n, m, width=2048):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(64, width)) / 8
    made = [
        np.maximum(rng.normal(size=(k, 64)) @ mix + 0.2 * i, 0).astype(np.float32)
        for i, k in enumerate((n, m))
    ]
    return made[0], made[1]


# --- every day ------------------------------------------------------------------------------------------


def times_faster(benchmark, stopwatch, ours, peer):
    """(our result, the peer's, ratio of their times); pytest-benchmark keeps ours."""
    own, other = stopwatch(ours, repeats=5), stopwatch(peer)
    benchmark.pedantic(ours, rounds=3)
    ratio = other.seconds / own.seconds
    benchmark.extra_info["times faster than the peer"] = round(ratio, 1)
    return own.result, other.result, ratio


def test_pixel_metrics_beat_scikit_learn_by_far(benchmark, pixel_maps, stopwatch):
    maps, masks = pixel_maps(24)
    tally_of(MapChunks(maps[:4], masks[:4]), compiled=True)  # once loaded, numba counts small maps too
    ours, theirs, ratio = times_faster(
        benchmark, stopwatch, lambda: pixel_metrics(maps, masks), lambda: sklearn_pixels(maps, masks)
    )
    assert most_apart(ours, theirs) < 1e-12
    assert ratio > 15


def test_the_numpy_path_alone_beats_scikit_learn(benchmark, pixel_maps, stopwatch):
    maps, masks = pixel_maps(24)
    _, _, ratio = times_faster(
        benchmark,
        stopwatch,
        lambda: tally_of(MapChunks(maps, masks), compiled=False),
        lambda: sklearn_pixels(maps, masks),
    )
    assert ratio > 2


def test_a_stream_through_the_numpy_path_beats_scikit_learn(benchmark, pixel_maps, stopwatch):
    maps, masks = pixel_maps(24)
    _, _, ratio = times_faster(
        benchmark,
        stopwatch,
        lambda: tally_of(MapChunks(zip(maps, masks, strict=True)), compiled=False),
        lambda: sklearn_pixels(maps, masks),
    )
    assert ratio > 2


def test_kid_of_the_same_subsets_beats_torch_fidelity(benchmark, stopwatch):
    x, y = pooled_features(300, 300)
    ours, theirs, ratio = times_faster(
        benchmark, stopwatch, lambda: kid(x, y, "subset", subset_size=250), lambda: subset_kid(x, y, 250)
    )
    assert ours.value == pytest.approx(theirs, rel=1e-5)
    assert ratio > 5


def test_fid_of_few_images_beats_the_matrix_root(benchmark, stopwatch):
    x, y = pooled_features(50, 80, width=512)
    ours, theirs, ratio = times_faster(benchmark, stopwatch, lambda: fid(x, y), lambda: root_fid(x, y))
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert ratio > 5


def test_ic_lpips_looks_at_an_image_once(benchmark):
    from bench.features import profile
    from bench.metrics import ic_lpips

    embedded, seen = profile("embedded"), []
    whole = embedded.perceptual
    embedded.perceptual = lambda images, *rest, **named: (
        seen.append(len(images)),
        whole(images, *rest, **named),
    )[1]
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    benchmark.pedantic(
        lambda: ic_lpips(images[4:], images[:4], features="embedded-stages", profile=embedded), rounds=1
    )
    assert sum(seen) == 24  # a forward a pair would need 4 * 20 for the clusters alone


# --- the long comparison --------------------------------------------------------------------------------


class Table(list):
    def add(self, metric, peer, ours, theirs, error, note=""):
        def memory(run):
            return "" if run.extra is None else f"{run.extra / 2**20:.0f}"

        ratio = theirs.seconds / ours.seconds
        self.append(
            f"| {metric} | {peer} | {ours.seconds:.3g} | {theirs.seconds:.3g}{note} "
            f"| {ratio:.{0 if ratio >= 1 else 1}f} | {memory(ours)} / {memory(theirs)} | {error:.1e} |"
        )

    def write(self):
        head = (
            "| metric | peer | ours, s | peer, s | ratio | memory beyond input, MiB (ours / peer) | error |"
        )
        text = "\n".join([head, "|---|---|---|---|---|---|---|", *self])
        print("\n" + text)
        if path := os.environ.get("DEFECTBENCH_METRICS_TABLE"):
            Path(path).write_text(text + "\n")


@pytest.fixture(scope="module")
def table():
    rows = Table()
    yield rows
    rows.write()


def most_apart(ours, theirs):
    return max(abs(ours[name] - value) for name, value in theirs.items())


@pytest.mark.full
@pytest.mark.parametrize("images", [83, 209, 1725])
def test_pixel_metrics_of_whole_categories(table, pixel_maps, stopwatch, tmp_path, images):
    maps, masks = pixel_maps(images)
    label = f"pixel AUROC, AP, F1, IoU, AUPRO; {maps.size / 1e6:.1f} Mpx"
    tally_of(MapChunks(maps[:4], masks[:4]), compiled=True)
    # what takes a twentieth of a second is easily disturbed by other work on the machine
    repeats = 9 if images < 1000 else 3
    before = stopwatch(lambda: pixel_metrics(maps, masks), repeats=repeats)
    peer = stopwatch(lambda: {**sklearn_pixels(maps, masks), "aupro": sorted_aupro(maps, masks)})
    after = stopwatch(lambda: pixel_metrics(maps, masks), repeats=repeats)
    ours = min(before, after, key=lambda run: run.seconds)
    table.add(label, "scikit-learn + MVTec's AUPRO", ours, peer, most_apart(ours.result, peer.result))
    with mock.patch.dict(os.environ, DEFECTBENCH_NUMBA="0"):
        plain = stopwatch(lambda: pixel_metrics(maps, masks), repeats=repeats // 3)
    table.add(
        label + ", numpy only",
        "scikit-learn + MVTec's AUPRO",
        plain,
        peer,
        most_apart(plain.result, peer.result),
    )
    if find_spec("adeval") is not None:
        approximate = stopwatch(lambda: adeval_pixels(maps, masks), repeats=repeats)
        table.add(label, "adeval, 1,000 bins", ours, approximate, most_apart(ours.result, approximate.result))
    if images < 1000:
        exact = stopwatch(lambda: torchmetrics_pixels(maps, masks))
        table.add(
            label, "torchmetrics, exact (anomalib's base)", ours, exact, most_apart(ours.result, exact.result)
        )
    np.save(tmp_path / "maps.npy", maps)
    mapped = np.load(tmp_path / "maps.npy", mmap_mode="r")
    pixel_metrics(mapped[:4], masks[:4])  # compiles for what cannot be written to
    from_file = stopwatch(lambda: pixel_metrics(mapped, masks), repeats=repeats)
    streamed = stopwatch(lambda: pixel_metrics(zip(mapped, masks, strict=True)), repeats=repeats)
    apart = [most_apart(run.result, ours.result) for run in (from_file, streamed)]
    assert max(apart) == 0.0
    table.add(label + ", a memory map", "the same from an array", from_file, ours, apart[0])
    table.add(label + ", a stream", "the same from an array", streamed, ours, apart[1])
    assert ours.seconds < peer.seconds / 50
    for run in (ours, from_file, streamed):
        assert run.extra is None or run.extra < 5 * maps.size + 2**26


@pytest.mark.full
def test_a_rising_change_of_scores_moves_peers_but_not_us(table, pixel_maps, stopwatch):
    maps, masks = pixel_maps(40)
    bent = 1 - (1 + maps.astype(np.float64)) ** -6.0
    ours = stopwatch(lambda: pixel_metrics(bent, masks))
    drift = most_apart(
        ours.result, {n: pixel_metrics(maps.astype(np.float64), masks)[n] for n in ("auroc", "ap", "aupro")}
    )
    before, after = adeval_pixels(maps, masks), adeval_pixels(bent.astype(np.float32), masks)
    print(f"drift under a rising change: ours {drift:.1e}, adeval {most_apart(before, after):.1e}")
    assert drift < 1e-12 < 1e-4 < most_apart(before, after)


@pytest.mark.full
@pytest.mark.parametrize(("n", "m", "size"), [(60, 1000, 60), (1000, 1000, 1000), (1000, 5000, 1000)])
def test_kid_and_fid(table, stopwatch, n, m, size):
    x, y = pooled_features(n, m)
    ours = stopwatch(lambda: kid(x, y, "subset", subset_size=size).value, repeats=5)
    peer = stopwatch(lambda: subset_kid(x, y, size))
    table.add(
        f"KID, 100 subsets of {size}; {n} and {m}",
        "torch-fidelity",
        ours,
        peer,
        abs(ours.result - peer.result),
    )
    closed = stopwatch(lambda: kid(x, y).value, repeats=5)
    table.add(
        f"KID over all pairs; {n} and {m}", "torch-fidelity", closed, peer, abs(closed.result - peer.result)
    )
    if m <= 1000:
        ours = stopwatch(lambda: fid(x, y), repeats=5)
        peer = stopwatch(lambda: root_fid(x, y))
        table.add(f"FID; {n} and {m}", "scipy's matrix root", ours, peer, abs(ours.result / peer.result - 1))


@pytest.mark.full
def test_ic_lpips_against_a_forward_a_pair(table, stopwatch, tmp_path):
    import lpips
    from torchvision import models

    from bench.features import profile

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk = models.alexnet(weights=None).features
        torch.save({f"features.{k}": v for k, v in trunk.state_dict().items()}, tmp_path / "alexnet-owt.pth")
    package = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    package.net.load_state_dict(
        dict(zip(package.net.state_dict(), trunk.state_dict().values(), strict=False))
    )
    canonical = profile("canonical", tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (1010, 256, 256, 3), dtype=np.uint8)
    made, real = images[10:], images[:10]

    def ours():
        centres = perceptual_features(canonical, "lpips-alex", real, batch=2)
        stream = IcLpipsAccumulator(centres, network="lpips-alex")
        clusters = [
            stream.update(canonical.perceptual(made[i : i + 2], "lpips-alex")) for i in range(0, 1000, 2)
        ]
        return stream.result(), np.concatenate(clusters)

    canonical.perceptual(real, "lpips-alex")
    run = stopwatch(ours)
    result, clusters = run.result
    pairs = [p for k in range(10) for p in itertools.combinations(np.flatnonzero(clusters == k), 2)]
    chosen = pairs[:: max(1, len(pairs) // 80)]

    def some_pairs():
        with torch.inference_mode():
            tensors = (
                torch.from_numpy(made[[i, j]]).permute(0, 3, 1, 2).float() / 127.5 - 1 for i, j in chosen
            )
            return [float(package(pair[:1], pair[1:])) for pair in tensors]

    sample = stopwatch(some_pairs)
    evaluations = 1000 * 10 + 2 * len(pairs)
    peer = sample._replace(seconds=sample.seconds / len(chosen) * evaluations)
    with torch.inference_mode():
        stages = [canonical.perceptual(made[[i, j]], "lpips-alex") for i, j in chosen]
    distances = [sum(float((s[0].double() - s[1].double()).square().sum()) for s in pair) for pair in stages]
    error = max(abs(a / b - 1) for a, b in zip(distances, sample.result, strict=True))
    table.add(
        f"IC-LPIPS alex; 1,000 images, 10 centres, {len(pairs)} pairs",
        f"a forward a pair, both orders (from {len(chosen)} pairs)",
        run,
        peer,
        error,
    )
    assert result.value == pytest.approx(np.mean(result.counted))
    assert error < 1e-5
    assert run.seconds < peer.seconds / 20


@pytest.mark.full
def test_one_pass_for_three_metrics(table, stopwatch, inception_weights):
    from torch_fidelity import feature_extractor_inceptionv3 as module
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore
    from torchmetrics.image.kid import KernelInceptionDistance

    from bench.features import profile

    rng = np.random.default_rng(0)
    real, made = (rng.integers(0, top, (40, 256, 256, 3), dtype=np.uint8) for top in (256, 200))
    canonical = profile("canonical", inception_weights.parent)
    canonical.pool(made[:2])

    def pooled(images):
        return [np.concatenate(part) for part in zip(*map(canonical.pool, np.split(images, 5)), strict=True)]

    def from_features(x, y):
        return {"is": inception_score(x[1]).value, "kid": kid(x[0], y[0]).value, "fid": fid(x[0], y[0])}

    # torch-fidelity's network as it comes: in the layout that it has outside of this package
    network = module.FeatureExtractorInceptionV3(
        "peer", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_weights)
    )

    class Features(torch.nn.Module):
        def __init__(self, which):
            super().__init__()
            self.which, self.num_features = which, 2048

        def forward(self, images):
            return network(images)[self.which]

    peers = (
        FrechetInceptionDistance(Features(0), reset_real_features=False, input_img_size=(3, 256, 256)),
        KernelInceptionDistance(Features(0), subset_size=40, subsets=1, reset_real_features=False),
        InceptionScore(Features(1)),
    )

    def theirs(*sets):
        with torch.inference_mode():
            for images, is_real in sets:
                for part in torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().split(8):
                    for peer in peers[:2]:
                        peer.update(part, real=is_real)
                    if not is_real:
                        peers[2].update(part)
        return {"fid": float(peers[0].compute()), "kid": float(peers[1].compute()[0])}

    run = stopwatch(lambda: from_features(pooled(made), pooled(real)))
    peer = stopwatch(lambda: theirs((real, True), (made, False)))
    apart = max(abs(run.result[n] / peer.result[n] - 1) for n in ("fid", "kid"))
    table.add("IS, KID, FID from images; 40 and 40", "torchmetrics, a network a metric", run, peer, apart)
    known = pooled(real)
    further = stopwatch(lambda: from_features(pooled(made), known))
    for metric in peers:
        metric.reset()
    peer_further = stopwatch(lambda: theirs((made, False)))
    table.add(
        "the same, real features known", "torchmetrics, a network a metric", further, peer_further, apart
    )
    assert apart < 0.01
    assert run.seconds < peer.seconds / 2
    assert further.seconds < peer_further.seconds / 2.5


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory) -> Path:
    """A file with the weights that torch-fidelity's Inception starts with."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    class Bare(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, *args, **kwargs):
            return None

    path = tmp_path_factory.mktemp("weights") / "weights-inception-2015-12-05.pth"
    no_download = mock.patch.object(module, "load_state_dict_from_url", return_value={})
    with torch.random.fork_rng(devices=[]), no_download:
        torch.manual_seed(0)
        state = Bare("bare", ["2048"]).state_dict()
    # He's scale, not torch's, or the features vanish with depth and KID and FID with them
    torch.save({key: value * 6**0.5 if value.dim() == 4 else value for key, value in state.items()}, path)
    return path


@pytest.mark.full
def test_aupro_alone(table, pixel_maps, stopwatch):
    maps, masks = pixel_maps(83)
    ours = stopwatch(lambda: aupro(maps, masks), repeats=3)
    peer = stopwatch(lambda: sorted_aupro(maps, masks))
    table.add("AUPRO; 5.4 Mpx", "a sort of every score", ours, peer, abs(ours.result - peer.result))
