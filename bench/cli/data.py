"""`bench data`: check, list, make-sample."""

from pathlib import Path
from typing import Any

from bench.cli.progress import step_progress
from bench.data.check import check_dataset
from bench.data.layout import find_dataset
from bench.data.problems import sentences
from bench.data.shift import brightness_shifts
from bench.data.split import make_split, third
from bench.errors import BenchError
from bench.parallel import processors
from bench.sample import CATEGORIES, SampleSpec, write


def check_command(folder: Path, resolution: int = 256, all_problems: bool = False) -> int:
    """0 if a run would accept the data set, with or without warnings, 1 if it would stop."""
    dataset = find_dataset(folder)
    report = check_dataset(dataset, step_progress("checking"), resolution=resolution)
    for severity, problems in (("error", report.errors), ("warning", report.warnings)):
        for sentence in sentences(problems, all_problems):
            print(f"{severity}: {sentence}")
    shifts: list[str] = []
    if not report.errors:
        shifts += brightness_shifts(make_split(dataset), dataset.root, report.brightness)
    for sentence in shifts:
        print(f"warning: {sentence}")
    print(
        f"{report.images} images in {len(dataset.categories)} categories: "
        f"{len(report.errors)} errors, {len(report.warnings) + len(shifts)} warnings"
    )
    return 1 if report.errors else 0


def list_command(folder: Path) -> None:
    dataset = find_dataset(folder)
    print(f"{dataset.name} ({dataset.layout} layout)")
    for category in dataset.categories:
        print(f"{category.name}: train/good {len(category.train_good)}, test/good {len(category.test_good)}")
        for defect, items in category.defects.items():
            base = min(third(len(items)), len(items))
            print(
                f"  {defect:<24}{len(items):>5} images: {base} in the first third, "
                f"{len(items) - base} in the test set"
            )
    small = [c.name for c in dataset.categories if any(len(items) < 2 for items in c.defects.values())]
    if not small:
        counts = make_split(dataset).counts()
        print(
            f"{counts.types} types, {counts.base} base, {counts.test_defects} + {counts.test_good} test, "
            f"{counts.normal} normal images for training"
        )


def make_sample_command(out: Path, categories: tuple[str, ...] | None, **sizes: Any) -> None:
    try:
        spec = SampleSpec(categories=categories or tuple(CATEGORIES), **sizes)
        write(spec, out, workers=processors(), progress=step_progress("rendering"))
    except (ValueError, FileExistsError) as error:
        raise BenchError(str(error)) from None
    print(out)
