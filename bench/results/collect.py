"""From a plan and a store to what a report is made from."""

import functools
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bench.planning.plan import Node, Plan
from bench.published import published_records
from bench.record.labels import CellLabels
from bench.record.record import Record, Status, detector_on, read_records
from bench.results.run import Curves, DataNotes, Gallery, Maps, NearPair, Results, Trace
from bench.store import Store

BEFORE_SCORE_DETECTION_3 = "score.dialects"
"""The stage that scored in dialects before score.detection did; plans of older versions have it."""
_PICTURES = 4
"""Pictures of one defect type in a gallery."""


_T = TypeVar("_T")


class _Lazy(Mapping[str, _T]):
    """A mapping that is read when it is looked into."""

    def __init__(self, read: Callable[[], Mapping[str, _T]]) -> None:
        self.read = read

    def __getitem__(self, name: str) -> _T:
        return self.read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.read())

    def __len__(self) -> int:
        return len(self.read())


def collect(plan: Plan, store: Store) -> Results:
    """The results of a plan as far as the store holds them; what was not run yet has no record."""
    measured, dialects = tuple(records(plan, store)), tuple(_dialects(plan, store))
    version = max((record.protocol_version for record in measured), default=0)
    return Results(
        protocol=plan.about["protocol"],
        scale=plan.about["scale"],
        dataset=plan.about["dataset"],
        records=measured,
        replicates=lambda task: _Replicates(store.out(task) / "replicates"),
        provenance={
            **plan.about["provenance"],
            "environments": _environments(plan, store, (*measured, *dialects)),
        },
        banner=plan.about["banner"],
        galleries=tuple(_galleries(plan, store)),
        near_pairs=tuple(_near_pairs(plan, store)),
        maps=tuple(_maps(plan, store)),
        traces=tuple(_traces(plan, store)),
        curves=tuple(_curves(plan, store)),
        dialects=dialects,
        baseline=plan.about.get("baseline", "real"),
        title=plan.about.get("title", ""),
        published=published_records(plan.about["protocol"], version),
        data_notes=DataNotes(tuple(plan.about["warnings"]), tuple(_near_duplicates(plan, store))),
    )


def records(plan: Plan, store: Store) -> Iterator[Record]:
    """Measured values and failures, then what is skipped, then what it cost."""
    scores = {key: plan.nodes[key] for key in plan.goals if plan.nodes[key].metrics}
    why = why_missing(plan, store)
    for key, node in scores.items():
        if store.done(key):
            yield from _read(store, key)
        elif reason := why(key):
            assert node.labels is not None
            yield from _without_value(node.labels, node.metrics, "failed", reason)
    for cell in plan.skipped:
        yield from _without_value(cell.labels, cell.metrics, "skipped", cell.reason)
    yield from _costs(plan, store, scores)


def _read(store: Store, key: str, file: str = "records.jsonl") -> Iterator[Record]:
    """The records of a scoring task, with what its manifest knows of the run; none without the file."""
    if not (store.out(key) / file).exists():
        return
    manifest = store.manifest(key)
    yield from read_records(
        store.out(key) / file,
        task=key,
        run=manifest.run,
        env=manifest.env,
        commit=manifest.commit,
        seconds=manifest.seconds,
        gpu_seconds=manifest.gpu_seconds,
        peak_memory=manifest.peak_memory,
    )


def why_missing(plan: Plan, store: Store) -> Callable[[str], str]:
    """Why a goal has no result: its own failure, or that of a task it rests on; empty if it was not run."""
    failed, done = store.failed(), functools.cache(store.done)
    sound: set[str] = set()  # rest on no failure

    def why(key: str) -> str:
        stack, seen = [key], {key}
        while stack:
            current = stack.pop()
            if current in failed and (failure := store.failure(current)) is not None:
                title = "" if current == key else f"{plan.nodes[current].title}: "
                return title + failure["error"]
            for _, used in plan.nodes[current].inputs:
                if used not in seen and used not in sound and not done(used):
                    seen.add(used)
                    stack.append(used)
        sound.update(seen)
        return ""

    return why


def _without_value(
    labels: CellLabels, metrics: tuple[tuple[str, str], ...], status: Status, reason: str
) -> Iterator[Record]:
    for level, metric in metrics:
        yield Record.of(labels, level=level, metric=metric, status=status, note=reason)


def _costs(plan: Plan, store: Store, scores: Mapping[str, Node]) -> Iterator[Record]:
    """Seconds and memory of fitting and of sampling or predicting, from the manifests; once a task."""
    seen: set[str] = set()

    @functools.cache
    def images(pool: str) -> int:
        return sum(store.definition(pool)["params"]["counts"].values())

    for node in scores.values():
        assert node.labels is not None
        for stage, key in _made_by(plan, node):
            if key in seen or not (store.done(key) or store.dropped(key)):
                continue
            seen.add(key)
            manifest = store.manifest(key)
            params = store.definition(key)["params"]
            n = 1  # where it is not by images that the cost is told
            if stage == "generator.sample":
                n = params["stop"] - params["start"]
            elif stage == "detector.predict":
                n = images(node.input("test"))
            cost = {
                "category": params.get("category", "") or "all",
                "level": "cost",
                "direction": "lower",
                "n": n,
                "task": key,
                "run": manifest.run,
                "env": manifest.env,
                "seconds": manifest.seconds,
                "gpu_seconds": manifest.gpu_seconds,
                "peak_memory": manifest.peak_memory,
            }
            yield Record.of(node.labels, **cost, metric=f"{stage} seconds", unit="s", value=manifest.seconds)
            memory = float(manifest.peak_memory)
            yield Record.of(node.labels, **cost, metric=f"{stage} peak memory", unit="bytes", value=memory)


def _made_by(plan: Plan, score: Node) -> Iterator[tuple[str, str]]:
    """The expensive tasks of a score: ("generator.fit", key) and the like."""
    if score.stage in ("score.generation", "score.normals"):
        pool = plan.nodes[plan.nodes[score.input("generated")].input("pool")]
        for _, sampled in pool.inputs:
            if plan.nodes[sampled].stage == "generator.sample":
                yield "generator.sample", sampled
                yield "generator.fit", plan.nodes[sampled].input("model")
                for role, key in plan.nodes[sampled].inputs:
                    if role.startswith("derived/"):
                        yield "generator.derive", key
    elif plan.nodes[score.input("prediction")].stage == "detector.predict":
        prediction = score.input("prediction")
        yield "detector.fit", plan.nodes[prediction].input("model")
        yield "detector.predict", prediction


class _Replicates(Mapping[str, np.ndarray]):
    """What `bench.stages.score_detection.save_replicates` wrote into a folder, each read when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            content = (self.folder / f"{name}.npy").read_bytes()
        except FileNotFoundError:
            raise KeyError(name) from None
        start = content.index(b"\n") + 1
        shape, dtype = _header(content[:start])
        return np.frombuffer(content, dtype, offset=start).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self.folder.glob("*.npy")))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@functools.lru_cache
def _header(text: bytes) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of a .npy file; `np.load` reads the same header of ten thousand files anew."""
    file = io.BytesIO(text)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype


def _galleries(plan: Plan, store: Store) -> Iterator[Gallery]:
    """The first pictures of each real pool, and of the generated ones of a generator's lowest seed."""
    pools: dict[str, tuple[str, Node]] = {}
    lowest: dict[tuple[str, str, str], int] = {}
    for key in plan.goals:
        node = plan.nodes[key]
        if node.stage not in ("score.generation", "score.normals"):
            continue
        assert node.labels is not None
        real = "base" if node.stage == "score.generation" else "normal"
        for role, name in ((real, "real"), ("generated", node.labels.generator)):
            pool = plan.nodes[node.input(role)].input("pool")
            if pool not in pools and store.done(pool):
                pools[pool] = name, node
                place = name, node.stage, node.labels.category
                lowest[place] = min(node.labels.seed, lowest.get(place, node.labels.seed))
    for pool, (name, node) in pools.items():
        assert node.labels is not None
        category, seed = node.labels.category, node.labels.seed
        if name != "real" and seed > lowest[name, node.stage, category]:
            continue
        rows: dict[str, list[int]] = {}
        for row, item in enumerate(json.loads((store.out(pool) / "index.json").read_text())):
            rows.setdefault(item["defect"], []).append(row)
        for defect, found in rows.items():
            yield Gallery(category, defect, name, seed, store.out(pool), tuple(found[:_PICTURES]))


def _near_pairs(plan: Plan, store: Store) -> Iterator[NearPair]:
    for key in plan.goals:
        node = plan.nodes[key]
        if node.stage != "score.generation" or not store.done(key):
            continue
        assert node.labels is not None
        nearest = node.input("nearest")
        # `bench gc` may have taken the pictures
        pools = {role: store.out(used) for role, used in plan.nodes[nearest].inputs if store.done(used)}
        if "base" in pools:
            pools["train"] = pools["base"]
        held = store.out(nearest) / "nearest.json"
        if not held.exists():
            continue
        for defect, found in json.loads(held.read_text())["types"].items():
            for pair in found.get("pairs", ()):
                if not {"generated", pair["side"]} <= pools.keys():
                    continue
                yield NearPair(
                    node.labels.category,
                    defect,
                    node.labels.generator,
                    node.labels.seed,
                    pair["distance"],
                    found["copy_distance"],
                    pair["side"] == "test",
                    (pools["generated"], pair["generated"]),
                    (pools[pair["side"]], pair["real"]),
                )


def _maps(plan: Plan, store: Store) -> Iterator[Maps]:
    for key in plan.goals:
        node = plan.nodes[key]
        if node.stage != "score.detection":
            continue
        test, prediction = node.input("test"), node.input("prediction")
        held = store.done(test) and store.done(prediction)
        assert node.labels is not None
        if held and (store.out(prediction) / "amaps.npy").exists():
            labels = node.labels
            yield Maps(
                labels.category,
                detector_on(labels.detector, labels.modality),
                labels.generator,
                labels.mix,
                labels.seed,
                store.out(test),
                store.out(prediction),
            )


def _traces(plan: Plan, store: Store) -> Iterator[Trace]:
    seen: set[str] = set()
    columns = functools.lru_cache(maxsize=1)(_columns)  # a hundred thousand steps each, so one at a time
    for key in plan.goals:
        node = plan.nodes[key]
        if node.stage not in ("score.detection", "score.classification"):
            continue
        for stage, model in _made_by(plan, node):
            curve = store.out(model) / "trace.csv"
            if stage != "detector.fit" or model in seen or not curve.exists():
                continue
            seen.add(model)
            labels = node.labels
            assert labels is not None
            yield Trace(
                detector_on(labels.detector, labels.modality),
                labels.generator,
                labels.mix,
                store.definition(model)["params"]["category"],
                labels.seed,
                _Lazy(functools.partial(columns, curve)),
            )


def _columns(trace: Path) -> Mapping[str, np.ndarray]:
    """The columns of a trace.csv."""
    with trace.open() as lines:
        names = lines.readline().rstrip("\n").split(",")
        try:
            table = np.loadtxt(lines, delimiter=",", ndmin=2)
        except ValueError:  # a gap, or a note
            table = np.empty((0, 0))
    if table.shape[1] == len(set(names)) and all(name.isidentifier() for name in names):
        return dict(zip(names, table.T, strict=True))
    # knows every kind of file, and takes four times as long
    whole = np.genfromtxt(trace, delimiter=",", names=True, ndmin=1)
    return {name: whole[name] for name in whole.dtype.names or ()}


def _dialects(plan: Plan, store: Store) -> Iterator[Record]:
    for key in plan.goals:
        if plan.nodes[key].stage == BEFORE_SCORE_DETECTION_3 and store.done(key):
            yield from _read(store, key)
        elif plan.nodes[key].stage == "score.detection" and store.done(key):
            yield from _read(store, key, "dialects.jsonl")


def _curves(plan: Plan, store: Store) -> Iterator[Curves]:
    for key in plan.goals:
        labels = plan.nodes[key].labels
        if labels is None or not store.done(key) or not (store.out(key) / "curves.json").exists():
            continue
        yield Curves(
            labels.category,
            detector_on(labels.detector, labels.modality),
            labels.generator,
            labels.mix,
            labels.seed,
            _Lazy(functools.cache(functools.partial(_points, store.out(key) / "curves.json"))),
        )


def _points(path: Path) -> Mapping[str, Mapping[str, np.ndarray]]:
    return {
        level: {kind: np.array(points, dtype=np.float64) for kind, points in found.items()}
        for level, found in json.loads(path.read_bytes()).items()
    }


def _near_duplicates(plan: Plan, store: Store) -> Iterator[Mapping[str, Any]]:
    for key in plan.goals:
        if plan.nodes[key].stage == "data.duplicates" and store.done(key):
            yield from json.loads((store.out(key) / "pairs.json").read_text())


def _environments(plan: Plan, store: Store, scored: Iterable[Record]) -> list[dict[str, Any]]:
    """The environments that made the goals, most goals first; `scored` are the records that there are."""
    told = {record.task: record.env for record in scored if record.level != "cost"}
    counted: dict[str, int] = {}
    for key in plan.goals:
        if key in told or store.done(key):
            env = told[key] if key in told else store.manifest(key).env
            counted[env] = counted.get(env, 0) + 1
    return [_environment(store.root, env) for env in sorted(counted, key=lambda env: (-counted[env], env))]


def _environment(root: Path, name: str) -> dict[str, Any]:
    path = root / "env" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"unknown": name}
