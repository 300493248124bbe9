"""Stages of features: what IS and KID need of each image, and IC-LPIPS within a defect type."""

import json
from dataclasses import asdict

import numpy as np

from bench.data.pool import Pool, open_pool
from bench.features import profile
from bench.metrics import IcLpipsAccumulator, UndefinedMetricError
from bench.metrics.ic_lpips import IC_LPIPS_DIALECTS, multiplied, perceptual_features
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
    """ic_lpips.json: for each defect type, IC-LPIPS and IC-LPIPS(a) in each dialect that is asked for.

    Keys are "ic_lpips" and "ic_lpips_a", with "@dialect" but for the default. The features themselves (tens
    of megabytes an image) are streamed; only clusters and sums are kept.
    """
    generated, base = open_pool(run.inputs.one("generated")), open_pool(run.inputs.one("base"))
    networks = profile(run.params["features"], run.context.weights, run.context.device)
    network = networks.perceptual_names[0]
    dialects = run.params.get("dialects", ["default"])
    test = open_pool(run.inputs.one("test")) if dialects != ["default"] else base
    results: dict[str, dict] = {}
    types = [defect for defect in dict.fromkeys(base.defects) if generated.rows(defect)]
    total = 2 * sum(len(generated.rows(defect)) for defect in types)
    done = 0
    for defect in types:
        made = generated.rows(defect)
        for name, masked in (("ic_lpips", False), ("ic_lpips_a", True)):
            streams = {}
            for dialect in dialects:
                # AnomalyHybrid groups about held-out images, everybody else about the generator's own
                real = test if dialect == "anomalyhybrid" else base
                rows = real.rows(defect)[: IC_LPIPS_DIALECTS[dialect].most_centres]
                seen = _seen(real, rows, masked)
                centres = perceptual_features(networks, network, seen, _BATCH)
                key = name if dialect == "default" else f"{name}@{dialect}"
                streams[key] = IcLpipsAccumulator(centres, dialect, network)
            for start in range(0, len(made), _BATCH):
                rows = made[start : start + _BATCH]
                features = networks.perceptual(_seen(generated, rows, masked), network)
                for stream in streams.values():
                    stream.update(features)
                done += len(rows)
                run.context.progress(done, total)
            for key, stream in streams.items():
                try:
                    results.setdefault(defect, {})[key] = asdict(stream.result())
                except UndefinedMetricError as error:
                    results.setdefault(defect, {})[key] = {"undefined": str(error), "network": network}
    (run.out / "ic_lpips.json").write_text(json.dumps(results, sort_keys=True))
    _describe(run, generated.defects, networks.weights_sha256)


def _seen(pool: Pool, rows: list[int], masked: bool) -> np.ndarray:
    """uint8 [N, H, W, 3]: these images of the pool, black outside their masks if `masked`."""
    masks = np.stack([pool.mask(row) for row in rows]) if masked else None
    return multiplied(np.asarray(pool.images[rows]), masks)


def _describe(run: StageRun, defects: tuple[str, ...], weights: dict[str, str]) -> None:
    told = {"defects": list(defects), "weights_sha256": weights}
    (run.out / "index.json").write_text(json.dumps(told, sort_keys=True))
