import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.layout import Dataset, find_dataset

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("DEFECTBENCH_SHARED", REPOSITORY.parent / "shared"))


def _photograph(number: int, width: int = 24, height: int = 16) -> Image.Image:
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def _mask(width: int = 24, height: int = 16) -> Image.Image:
    values = np.zeros((height, width), np.uint8)
    values[4:10, 6:12] = 255
    return Image.fromarray(values)


@pytest.fixture
def photograph() -> Callable[..., Image.Image]:
    """A small picture of noise; another number, another picture."""
    return _photograph


@pytest.fixture
def mask() -> Callable[..., Image.Image]:
    return _mask


@pytest.fixture
def write_category() -> Callable[..., Path]:
    """Write a sound category in MVTec AD layout: 3 + 2 normal images and images of each defect type."""

    def write(folder: Path, first: int = 0, **defects: int) -> Path:
        number = first
        places = [("train/good", 3), ("test/good", 2), *((f"test/{d}", n) for d, n in defects.items())]
        for place, count in places:
            (folder / place).mkdir(parents=True)
            for index in range(count):
                _photograph(number).save(folder / place / f"{index:03}.png")
                number += 1
        for defect, count in defects.items():
            (folder / "ground_truth" / defect).mkdir(parents=True)
            for index in range(count):
                _mask().save(folder / "ground_truth" / defect / f"{index:03}_mask.png")
        return folder

    return write


@pytest.fixture
def write_empty_files() -> Callable[..., Path]:
    """Write a category whose files are empty: enough for what only counts and names files."""

    def write(folder: Path, train_good: int, test_good: int, defects: dict[str, int]) -> Path:
        parts = {"train/good": train_good, "test/good": test_good}
        parts |= {f"test/{d}": n for d, n in defects.items()}
        for part, count in parts.items():
            (folder / part).mkdir(parents=True)
            for index in range(count):
                (folder / part / f"{index:03}.png").touch()
        return folder

    return write


@pytest.fixture(scope="session")
def mtd() -> Dataset:
    """The magnetic tiles, real photographs."""
    if not (SHARED / "data" / "mtd").is_dir():
        pytest.skip("the shared magnetic tile data is not on this machine")
    return find_dataset(SHARED / "data" / "mtd")


@pytest.fixture(scope="session")
def mvtec_table() -> str:
    return (REPOSITORY / "protocols" / "splits" / "mvtec_ad.toml").read_text()
