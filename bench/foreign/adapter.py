"""Adapter classes of foreign methods: they write folders, run commands, and read what those wrote."""

import csv
import io
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import create_model

from bench.data.folder import Folder
from bench.data.images import resize_image, resize_mask
from bench.data.problems import sentences
from bench.errors import BenchError
from bench.files import file_text
from bench.foreign.folders import write_detector_split, write_images, write_train_split
from bench.foreign.process import found, run
from bench.foreign.spec import ForeignSpec, filled, load_foreign
from bench.ingestion.generated import generated_samples, scan_generated
from bench.ingestion.predictions import MAP_SUFFIXES, read_map
from bench.methods import (
    Adapter,
    Batch,
    Detector,
    DetectorSplit,
    Generator,
    Params,
    Prediction,
    Request,
    Sample,
    TrainSplit,
    View,
)
from bench.methods.context import Context

_BATCH = 16


def foreign_adapter(path: Path) -> type[Adapter]:
    """The adapter class that a TOML file describes. Raises BenchError where the file is wrong."""
    spec = load_foreign(path)
    base: type[Adapter] = _ForeignGenerator if spec.kind == "generator" else _ForeignDetector
    fields: dict[str, Any] = {key: (type(value), value) for key, value in spec.params.items()}
    facts: dict[str, Any] = {
        "name": spec.name,
        "version": spec.version,
        "scope": spec.scope,
        "Params": create_model("ForeignParams", __base__=Params, **fields),
        "presets": {"tiny": {}},
        "spec": spec,
        "folder": path.resolve().parent,
        "__doc__": spec.about,
    }
    if spec.kind == "generator":
        facts |= {"needs": frozenset(spec.needs), "yields": frozenset(spec.yields)}
    else:
        facts |= {"task": spec.task, "modality": "rgb", "trains_on": frozenset(spec.trains_on)}
    return type(f"Foreign_{spec.name}", (base,), facts)


class _Foreign(Adapter):
    spec: ClassVar[ForeignSpec]
    folder: ClassVar[Path]

    def missing(self, weights: Path | None = None) -> list[str]:
        places = self._places()
        needed = [filled([word], places)[0] for word in self.spec.requires]
        return [
            f"'{self.name}' needs {word}, which is not here; {self.spec.about.splitlines()[0]}"
            for word in needed
            if not found(word)
        ]

    def view(self, category: str = "") -> View | None:
        return None if self.spec.view is None else self.spec.view.view()

    def _places(self, **more: Any) -> dict[str, Any]:
        params = {f"params.{key}": value for key, value in self.params.model_dump().items()}
        return {"here": self.folder, **params, **more}

    def _run(self, command: list[str], ctx: Context, folders: list[Path], **places: Any) -> None:
        values = self._places(seed=ctx.seed, device=ctx.device, **places)
        run(
            filled(command, values),
            name=self.name,
            cwd=self.folder,
            env={key: filled([value], values)[0] for key, value in self.spec.env.items()},
            limits=self.spec.limits,
            folders=folders,
            seconds_left=ctx.seconds_left,
        )


class _ForeignGenerator(_Foreign, Generator):
    def fit(self, data: TrainSplit, out: Path, ctx: Context) -> None:
        if self.spec.fit is None:
            return
        folder = ctx.scratch / "data"
        write_train_split(folder, data)
        category, *others = data.categories
        defects = [defect for category_data in data.categories.values() for defect in category_data.anomalies]
        self._run(
            self.spec.fit,
            ctx,
            [ctx.scratch, out],
            data=folder,
            out=out,
            model=out,
            resolution=data.resolution,
            category="" if others else category,
            defect=defects[0] if self.scope == "defect" and defects else "",
        )

    def sample(self, model: Path, data: TrainSplit, request: Request, ctx: Context) -> Iterator[Sample]:
        assert self.spec.sample is not None
        folder, out = ctx.scratch / "data", ctx.scratch / "samples"
        write_train_split(folder, data)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        count = len(request.indices)
        self._run(
            self.spec.sample,
            ctx,
            [ctx.scratch],
            data=folder,
            out=out,
            model=model,
            category=request.category,
            defect=request.defect,
            count=count,
            start=request.indices.start,
            stop=request.indices.stop,
            resolution=data.resolution,
        )
        _refuse_link(out)
        scan = scan_generated(out, {request.category: (request.defect,)}, "run again")
        for sentence in sentences(scan.warnings):
            ctx.log.warning(sentence)
        if len(scan.items) < count:
            empty = f" ({len(scan.empty)} more have an empty mask)" if scan.empty else ""
            raise BenchError(
                f"'{self.name}' wrote {len(scan.items)} images of {request.category}/{request.defect}, and "
                f"{count} were asked for{empty}"
            )
        for sample in generated_samples(scan.items[:count]):
            mask = None if sample.mask is None else resize_mask(sample.mask, data.resolution)
            yield Sample(resize_image(sample.image, data.resolution), mask)


class _ForeignDetector(_Foreign, Detector):
    def fit(self, data: DetectorSplit, out: Path, ctx: Context) -> None:
        if self.spec.fit is None:
            return
        folder = ctx.scratch / "data"
        write_detector_split(folder, data)
        category = data.categories[0] if len(data.categories) == 1 else ""
        self._run(
            self.spec.fit,
            ctx,
            [ctx.scratch, out],
            data=folder,
            out=out,
            model=out,
            resolution=data.resolution,
            category=category,
        )

    def predict(self, model: Path, images: Iterable[Batch], ctx: Context) -> Iterator[Prediction]:
        assert self.spec.predict is not None
        folder, out = ctx.scratch / "images", ctx.scratch / "maps"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        batches = list(images)
        count = write_images(folder, batches)
        side = batches[0].images.shape[1]
        self._run(
            self.spec.predict,
            ctx,
            [ctx.scratch],
            images=folder,
            out=out,
            model=model,
            count=count,
            resolution=side,
            category=ctx.category,
        )
        _refuse_link(out)
        listed = Folder(out)
        maps = listed.files(listed.root, MAP_SUFFIXES)
        listed.refuse("the command must leave plain files")
        scores = _scores(out / "scores.csv")
        stems = [f"{row:04d}" for row in range(count)]
        for what, by_stem in (("map", maps), ("score", scores)):
            lacking = [stem for stem in stems if stem not in by_stem]
            if by_stem and lacking:
                raise BenchError(
                    f"'{self.name}' gave no {what} for {len(lacking)} images, {lacking[0]} first"
                )
        if not maps and not scores:
            raise BenchError(f"'{self.name}' left neither maps nor scores.csv in its folder")
        for start in range(0, count, _BATCH):
            part = stems[start : start + _BATCH]
            yield Prediction(
                score=np.array([scores[stem] for stem in part], np.float32) if scores else None,
                amap=np.stack([read_map(maps[stem], side) for stem in part]) if maps else None,
            )


def _refuse_link(out: Path) -> None:
    if out.is_symlink():
        raise BenchError(f"the command left a link at {out}; it must leave plain files in that folder")


def _scores(path: Path) -> dict[str, float]:
    if not path.is_file() or path.is_symlink():
        return {}
    try:
        rows = csv.DictReader(io.StringIO(file_text(path), newline=""))
        return {row["stem"]: float(row["score"]) for row in rows}
    except (ValueError, KeyError, TypeError, OSError, csv.Error) as error:
        raise BenchError(f"{path} is not a table of stem and score ({error})") from None
