"""Stages of features: what IS and KID need of each image, and IC-LPIPS within a defect type."""

import json
from dataclasses import asdict

import numpy as np

from bench.data.pool import open_pool
from bench.features import profile
from bench.metrics import IcLpipsAccumulator, UndefinedMetricError
from bench.metrics.cluster_diversity import multiplied, perceptual_features
from bench.stages import StageRun

_BATCH = 16


def features(run: StageRun) -> None:
    """features.npy float32 [N, D] and probabilities.npy float64 [N, C] of every image of a pool."""
    pool = open_pool(run.inputs.one("pool"))
    networks = profile(run.params["features"], run.context.weights, run.context.device)
    found: list[np.ndarray] = []
    classes: list[np.ndarray] = []
    for start in range(0, len(pool), _BATCH):
        batch, probabilities = networks.pool(np.asarray(pool.images[start : start + _BATCH]))
        found.append(batch)
        classes.append(probabilities)
        run.context.progress(min(start + _BATCH, len(pool)), len(pool))
    np.save(run.out / "features.npy", np.concatenate(found))
    np.save(run.out / "probabilities.npy", np.concatenate(classes))
    _describe(run, pool.defects, networks.weights_sha256)


def perceptual(run: StageRun) -> None:
    """ic_lpips.json: for each defect type, IC-LPIPS and IC-LPIPS(a) about the real third of the type.

    The features themselves (tens of megabytes an image) are streamed; only clusters and sums are kept.
    """
    generated, base = open_pool(run.inputs.one("generated")), open_pool(run.inputs.one("base"))
    networks = profile(run.params["features"], run.context.weights, run.context.device)
    network = networks.perceptual_names[0]
    results: dict[str, dict] = {}
    types = [defect for defect in dict.fromkeys(base.defects) if generated.rows(defect)]
    total = 2 * sum(len(generated.rows(defect)) for defect in types)
    done = 0
    for defect in types:
        made, real = generated.rows(defect), base.rows(defect)
        for name, masked in (("ic_lpips", False), ("ic_lpips_a", True)):
            real_masks = np.stack([base.mask(row) for row in real]) if masked else None
            centres = perceptual_features(
                networks, network, multiplied(np.asarray(base.images[real]), real_masks), _BATCH
            )
            stream = IcLpipsAccumulator(centres, "default", network)
            for start in range(0, len(made), _BATCH):
                rows = made[start : start + _BATCH]
                masks = np.stack([generated.mask(row) for row in rows]) if masked else None
                stream.update(
                    networks.perceptual(multiplied(np.asarray(generated.images[rows]), masks), network)
                )
                done += len(rows)
                run.context.progress(done, total)
            try:
                results.setdefault(defect, {})[name] = asdict(stream.result())
            except UndefinedMetricError as error:
                results.setdefault(defect, {})[name] = {"undefined": str(error), "network": network}
    (run.out / "ic_lpips.json").write_text(json.dumps(results, sort_keys=True))
    _describe(run, generated.defects, networks.weights_sha256)


def _describe(run: StageRun, defects: tuple[str, ...], weights: dict[str, str]) -> None:
    told = {"defects": list(defects), "weights_sha256": weights}
    (run.out / "index.json").write_text(json.dumps(told, sort_keys=True))
