"""Stages of generators: derive maps of images, fit on the training side, sample in chunks, cache samples."""

from bench.data.pool import open_pool
from bench.methods import Anomalies, CategoryTrain, Generator, Images, Request, TrainSplit, registry
from bench.methods.samples import samples_to_pool, write_samples
from bench.stages import StageRun


def derive(run: StageRun) -> None:
    """What a generator needs of the images of one category beside them, for all its fits."""
    (category,) = _train_split(run).categories.values()
    _adapter(run).derive(category, run.out, run.context)


def fit(run: StageRun) -> None:
    """Fit a generator on the categories (and, for the scope "defect", on the one type) of its task."""
    _adapter(run).fit(_train_split(run, run.params["defect"]), run.out, run.context)


def sample(run: StageRun) -> None:
    """Draw the samples start..stop of one defect type into samples.zip."""
    params = run.params
    request = Request(params["category"], params["defect"], range(params["start"], params["stop"]))
    generator = _adapter(run)
    samples = generator.sample(run.inputs.one("model"), _train_split(run), request, run.context)
    write_samples(
        run.out / "samples.zip",
        request,
        samples,
        run.context.progress,
        generator=generator.name,
        resolution=run.params["resolution"],
    )


def cache(run: StageRun) -> None:
    """Decode the samples of one category, the first `counts` of each defect, into one pool."""
    sets = [
        (defect, folder / "samples.zip")
        for defect, folders in run.inputs.under("samples").items()
        for folder in folders
    ]
    samples_to_pool(sets, run.out, run.params["resolution"], run.params["counts"])


def _adapter(run: StageRun) -> Generator:
    adapter = registry.load("generator", run.adapter)
    return adapter(adapter.Params(**run.params["params"]))


def _train_split(run: StageRun, only: str = "") -> TrainSplit:
    categories = {}
    base, derived = run.inputs.under("base"), run.inputs.under("derived")
    for name, (folder,) in run.inputs.under("normal").items():
        real = open_pool(base[name][0])
        defects = [defect for defect in dict.fromkeys(real.defects) if not only or defect == only]
        anomalies = {defect: Anomalies(real, real.rows(defect)) for defect in defects}
        (maps,) = derived.get(name, [None])
        categories[name] = CategoryTrain(name, Images(open_pool(folder)), anomalies, maps)
    return TrainSplit(categories, run.params["resolution"])
