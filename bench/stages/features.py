"""Stages of features: what IS and KID need of each image, and IC-LPIPS within a defect type."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from bench.data.pool import Pool, open_pool
from bench.features import Profile, profile
from bench.metrics import IcLpipsAccumulator, UndefinedMetricError, stream_order
from bench.metrics.ic_lpips import IC_LPIPS_DIALECTS, multiplied, perceptual_features
from bench.metrics.lpips import LpipsAccumulator
from bench.planning.config import CategoryPlan, PlanConfig
from bench.stages.data import DataCache, RealPools
from bench.stages.stage import Output, Stage, StageRun, T
from bench.tasks import Task

IMPORTS = ("timm", "bench.features.embedded", "bench.metrics")
"""What every stage that runs feature networks needs."""
_BATCH = 16


def feature_params(config: PlanConfig, category: CategoryPlan) -> dict[str, Any]:
    """Which feature networks a task runs, on which category."""
    return {"features": config.features, "weights": config.features_weights, "category": category.name}


def networks_of(run: StageRun) -> Profile:
    """The feature networks of a task that was planned with `feature_params`."""
    return profile(run.params["features"], run.context.weights, run.context.device)


@dataclass(frozen=True)
class PoolFeatures(Stage[T]):
    """features.npy float32 [N, D] and probabilities.npy float64 [N, C] of every image of a pool."""

    name, version = "features", 2
    imports = IMPORTS
    gpu = True
    payload = "features"
    pool: T

    @staticmethod
    def task(config: PlanConfig, category: CategoryPlan, pool: Task) -> Task:
        return PoolFeatures(pool).to_task(feature_params(config, category))

    def run(self: "PoolFeatures[Output]", run: StageRun) -> None:
        pool, networks = open_pool(self.pool.folder), networks_of(run)
        features: list[np.ndarray] = []
        classes: list[np.ndarray] = []
        for start in range(0, len(pool), _BATCH):
            batch, probabilities = networks.pool(np.asarray(pool.images[start : start + _BATCH]))
            features.append(batch)
            classes.append(probabilities)
            run.context.progress(min(start + _BATCH, len(pool)), len(pool))
        np.save(run.out / "features.npy", np.concatenate(features))
        np.save(run.out / "probabilities.npy", np.concatenate(classes))
        _write_index(run, pool, networks)


@dataclass(frozen=True)
class PerceptualFeatures(Stage[T]):
    """ic_lpips.json: for each defect type, IC-LPIPS and IC-LPIPS(a) in each dialect that is asked for.

    Keys are "ic_lpips" and "ic_lpips_a", with "@dialect" but for the default. The features themselves (tens
    of megabytes per image) are streamed; only clusters and sums are stored. Dialects of one network share its
    forwards, unless one draws members at random, which is an order of its own.
    """

    name, version = "features.perceptual", 1
    imports = IMPORTS
    gpu = True
    payload = "features"
    generated: T
    base: T
    test: T | None = None
    """For dialects that group about test images; None where none does."""
    nearest: T | None = None
    """The base images by the nearest pixel, for dialects that read centres so."""

    @staticmethod
    def task(config: PlanConfig, category: CategoryPlan, real: RealPools, generated: Task) -> Task:
        params = feature_params(config, category)
        if config.ic_lpips == ("default",):
            return PerceptualFeatures(generated, real.base).to_task(params)
        params["dialects"] = list(config.ic_lpips)
        test = real.test if "anomalyhybrid" in config.ic_lpips else None
        nearest = None
        if any(IC_LPIPS_DIALECTS[dialect].centres_nearest for dialect in config.ic_lpips):
            nearest = DataCache.task(config, category.name, "base", category.base, filter="nearest")
        return PerceptualFeatures(generated, real.base, test, nearest).to_task(params)

    def run(self: "PerceptualFeatures[Output]", run: StageRun) -> None:
        generated, base = open_pool(self.generated.folder), open_pool(self.base.folder)
        networks = networks_of(run)
        dialects = run.params.get("dialects", ["default"])
        centres = _Centres(
            base,
            base if self.test is None else open_pool(self.test.folder),
            base if self.nearest is None else open_pool(self.nearest.folder),
        )
        types = [defect for defect in dict.fromkeys(base.defects) if generated.rows(defect)]
        passes = _passes(networks, dialects)
        total = 2 * len(passes) * sum(len(generated.rows(defect)) for defect in types)
        done = 0
        results: dict[str, dict[str, Any]] = {defect: {} for defect in types}
        for defect, (network, members), (metric, masked) in product(
            types, passes.items(), (("ic_lpips", False), ("ic_lpips_a", True))
        ):
            if masked and base.masks is None:
                reason = {"undefined": "the data set has no masks", "network": network.name}
                results[defect] |= {_key(metric, dialect): reason for dialect in members}
                continue
            clusters = {
                dialect: _cluster(networks, network.name, dialect, centres, defect, masked)
                for dialect in members
            }
            rows = generated.rows(defect)
            order = stream_order(len(rows), members[0])
            for start in range(0, len(rows), _BATCH):
                batch = [rows[index] for index in order[start : start + _BATCH]]
                features = networks.perceptual(_pixels(generated, batch, masked), network.name)
                for cluster in clusters.values():
                    cluster.update(features)
                done += len(batch)
                run.context.progress(done, total)
            for dialect, cluster in clusters.items():
                result = _result(cluster, network.name)
                if len(passes) > 1:  # the weights of all networks say too much of one
                    result["weights"] = networks.weights_of(network.name)
                results[defect][_key(metric, dialect)] = result
        (run.out / "ic_lpips.json").write_text(json.dumps(results, sort_keys=True))
        _write_index(run, generated, networks)


@dataclass(frozen=True)
class LpipsFeatures(Stage[T]):
    """lpips.json: for each defect type, the mean perceptual distance over all pairs of its images.

    Images of no known type have none: their variety is that of their types.
    """

    name, version = "features.lpips", 1
    imports = IMPORTS
    gpu = True
    payload = "features"
    generated: T

    @staticmethod
    def task(config: PlanConfig, category: CategoryPlan, generated: Task) -> Task:
        return LpipsFeatures(generated).to_task(feature_params(config, category))

    def run(self: "LpipsFeatures[Output]", run: StageRun) -> None:
        generated, networks = open_pool(self.generated.folder), networks_of(run)
        types = [defect for defect in dict.fromkeys(generated.defects) if defect not in ("good", "any")]
        total = sum(len(generated.rows(defect)) for defect in types)
        done = 0
        results: dict[str, dict[str, Any]] = {}
        for defect in types:
            rows = generated.rows(defect)
            distances = LpipsAccumulator()
            for start in range(0, len(rows), _BATCH):
                batch = rows[start : start + _BATCH]
                distances.update(networks.perceptual(_pixels(generated, batch, False), _network(networks)))
                done += len(batch)
                run.context.progress(done, total)
            results[defect] = {"images": len(rows), **_estimate(distances)}
        report = {
            "types": results,
            "network": _network(networks),
            "weights_sha256": networks.weights_sha256,
        }
        (run.out / "lpips.json").write_text(json.dumps(report, sort_keys=True))


def _estimate(distances: LpipsAccumulator) -> dict[str, Any]:
    try:
        estimate = distances.result()
    except UndefinedMetricError as error:
        return {"undefined": str(error)}
    return {
        "value": estimate.value,
        "error": None if np.isnan(estimate.error) else estimate.error,
        "error_kind": estimate.error_kind,
    }


def _network(networks: Profile) -> str:
    return networks.perceptual_names[0]


class _Pass(NamedTuple):
    """One stream of the generated images through one network."""

    name: str
    """Of the network."""
    random_members: bool


def _passes(networks: Profile, dialects: Sequence[str]) -> dict[_Pass, list[str]]:
    """The dialects that each stream serves."""
    passes: dict[_Pass, list[str]] = {}
    for dialect in dialects:
        rule = IC_LPIPS_DIALECTS[dialect]
        has_network = rule.network in networks.perceptual_names
        network = rule.network if has_network else _network(networks)
        passes.setdefault(_Pass(network, rule.random_members), []).append(dialect)
    return passes


class _Centres(NamedTuple):
    """The real images that clusters lie about."""

    base: Pool
    test: Pool
    nearest: Pool


def _cluster(
    networks: Profile, network: str, dialect: str, centres: _Centres, defect: str, masked: bool
) -> IcLpipsAccumulator:
    """The clusters of one dialect about real images of one type, still without members."""
    rule = IC_LPIPS_DIALECTS[dialect]
    # AnomalyHybrid groups about held-out images, everybody else about the generator's own
    real = centres.test if dialect == "anomalyhybrid" else centres.base
    if rule.centres_nearest:
        real = centres.nearest
    pixels = _pixels(real, real.rows(defect)[: rule.most_centres], masked)
    features = perceptual_features(networks, network, pixels, _BATCH, scaled=rule.centres_scaled)
    return IcLpipsAccumulator(features, dialect, network)


def _key(metric: str, dialect: str) -> str:
    return metric if dialect == "default" else f"{metric}@{dialect}"


def _result(clusters: IcLpipsAccumulator, network: str) -> dict[str, Any]:
    try:
        return asdict(clusters.result())
    except UndefinedMetricError as error:
        return {"undefined": str(error), "network": network}


def _pixels(pool: Pool, rows: list[int], masked: bool) -> np.ndarray:
    """uint8 [N, H, W, 3]: these images of the pool, black outside their masks if `masked`."""
    masks = np.stack([pool.mask(row) for row in rows]) if masked else None
    return multiplied(np.asarray(pool.images[rows]), masks)


def _write_index(run: StageRun, pool: Pool, networks: Profile) -> None:
    """index.json: the defect type of each image, and the weights that were read."""
    index = {"defects": list(pool.defects), "weights_sha256": networks.weights_sha256}
    (run.out / "index.json").write_text(json.dumps(index, sort_keys=True))
