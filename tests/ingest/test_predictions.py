from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.errors import BenchError
from bench.ingestion.predictions import Target, read_map, scan_predictions

CATEGORIES = {"tile": ("crack", "hole")}
ITEMS = [Target("tile", "crack", "003"), Target("tile", "hole", "004"), Target("tile", "good", "000")]
AMAP = np.linspace(-1, 5, 12, dtype=np.float32).reshape(3, 4)


def save_maps(root: Path, amap: np.ndarray = AMAP) -> None:
    for item in ITEMS:
        path = root / item.category / item.defect / f"{item.stem}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, amap)


def write_table(path: Path, column: str, rows: dict[str, str]) -> None:
    lines = [f"category,defect,stem,{column}", *(f"{key},{value}" for key, value in rows.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


SCORES = {"tile,hole,004": "0.5", "tile,crack,003": "-2e3", "tile,good,000": "0"}
CLASSES = {"tile,crack,003": "hole", "tile,hole,004": "hole"}


def test_maps_are_found_in_the_order_of_the_test_images(tmp_path: Path) -> None:
    save_maps(tmp_path)
    scan = scan_predictions(tmp_path, ITEMS, CATEGORIES)
    assert scan.maps is not None
    assert [path.parent.name for path in scan.maps] == ["crack", "hole", "good"]
    assert scan.scores is None
    assert scan.predicted is None


def test_with_one_category_its_folder_may_be_left_out(tmp_path: Path) -> None:
    save_maps(tmp_path)
    scan = scan_predictions(tmp_path / "tile", ITEMS, CATEGORIES)
    assert scan.maps is not None
    assert len(scan.maps) == 3


def test_scores_alone_are_enough(tmp_path: Path) -> None:
    write_table(tmp_path / "scores.csv", "score", SCORES)
    scan = scan_predictions(tmp_path, ITEMS, CATEGORIES)
    assert scan.maps is None
    assert scan.scores is not None
    assert scan.scores.dtype == np.float32
    assert scan.scores.tolist() == [-2000, 0.5, 0]


def test_predicted_types_cover_the_anomalies(tmp_path: Path) -> None:
    write_table(tmp_path / "classes.csv", "predicted", CLASSES)
    assert scan_predictions(tmp_path, ITEMS, CATEGORIES).predicted == ("hole", "hole", None)


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4), (3, 4, 1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_array_is_read_as_float32(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    np.save(tmp_path / "a.npy", AMAP.reshape(shape).astype(dtype))
    amap = read_map(tmp_path / "a.npy")
    assert amap.dtype == np.float32
    np.testing.assert_allclose(amap, AMAP, rtol=1e-3, atol=1e-3)


def test_a_float_tiff_keeps_its_values(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", AMAP)
    np.testing.assert_array_equal(read_map(tmp_path / "a.tiff"), AMAP)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_whole_numbers_are_scaled_to_one(tmp_path: Path, dtype: type, top: int, suffix: str) -> None:
    values = np.array([[0, top // 5], [top, top // 3]], dtype=dtype)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(read_map(tmp_path / f"a.{suffix}"), values / top, rtol=1e-6)


def test_a_map_is_resized_to_the_resolution_of_the_run(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((10, 14), 3.5, dtype=np.float32))
    amap = read_map(tmp_path / "a.npy", 8)
    assert amap.shape == (8, 8)
    assert (amap == 3.5).all()


class Unpickled:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (pytest.fail, ("a pickle was read",))


def damage_missing(root: Path) -> None:
    (root / "tile/hole/004.npy").unlink()


def damage_nan(root: Path) -> None:
    np.save(root / "tile/hole/004.npy", np.full((3, 4), np.nan, dtype=np.float32))


def damage_pickle(root: Path) -> None:
    np.save(root / "tile/hole/004.npy", np.array([[Unpickled()]], dtype=object), allow_pickle=True)


def damage_shape(root: Path) -> None:
    np.save(root / "tile/hole/004.npy", np.zeros((3, 4, 2), dtype=np.float32))


def damage_truncated(root: Path) -> None:
    path = root / "tile/hole/004.npy"
    path.write_bytes(path.read_bytes()[:-5])


def damage_huge_header(root: Path) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**7, 10**7)}
    with (root / "tile/hole/004.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"0000")


def damage_colour(root: Path) -> None:
    (root / "tile/hole/004.npy").unlink()
    Image.new("RGB", (4, 3)).save(root / "tile/hole/004.png")


def damage_two_files(root: Path) -> None:
    Image.new("L", (4, 3)).save(root / "tile/hole/004.png")


def damage_unknown_defect(root: Path) -> None:
    (root / "tile/dent").mkdir()


def damage_link(root: Path) -> None:
    outside = root.parent / "outside.npy"
    np.save(outside, AMAP)
    (root / "tile/hole/004.npy").unlink()
    (root / "tile/hole/004.npy").symlink_to(outside)


def damage_score_missing(root: Path) -> None:
    write_table(root / "scores.csv", "score", {"tile,hole,004": "1", "tile,good,000": "0"})


def damage_score_nan(root: Path) -> None:
    write_table(root / "scores.csv", "score", {**SCORES, "tile,hole,004": "nan"})


def damage_score_word(root: Path) -> None:
    write_table(root / "scores.csv", "score", {**SCORES, "tile,hole,004": "high"})


def damage_score_column(root: Path) -> None:
    write_table(root / "scores.csv", "value", SCORES)


def damage_score_unknown(root: Path) -> None:
    write_table(root / "scores.csv", "score", {**SCORES, "tile,hole,999": "1"})


def damage_score_binary(root: Path) -> None:
    (root / "scores.csv").write_bytes(b"\xff\xfe\x00")


def damage_class_unknown(root: Path) -> None:
    write_table(root / "classes.csv", "predicted", {**CLASSES, "tile,hole,004": "dent"})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_missing, "1 test images have no map: tile/hole/004"),
        (damage_nan, "values that are not finite"),
        (damage_pickle, r"004\.npy cannot be read"),
        (damage_shape, r"has shape \[3, 4, 2\]"),
        (damage_truncated, r"004\.npy cannot be read"),
        (damage_huge_header, r"004\.npy cannot be read"),
        (damage_colour, r"004\.png has mode RGB"),
        (damage_two_files, "have one stem"),
        (damage_unknown_defect, "tile/dent/ is not a defect of 'tile'"),
        (damage_link, "is a link that leaves the folder"),
        (damage_score_missing, r"1 test images have no row in scores\.csv: tile/crack/003"),
        (damage_score_nan, r"scores\.csv gives tile/hole/004 the score 'nan'"),
        (damage_score_word, r"scores\.csv gives tile/hole/004 the score 'high'"),
        (damage_score_column, r"scores\.csv has no column score"),
        (damage_score_unknown, r"scores\.csv line 5 names tile/hole/999, no test image"),
        (damage_score_binary, r"scores\.csv is not UTF-8"),
        (damage_class_unknown, r"classes\.csv predicts 'dent' for tile/hole/004"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    root = tmp_path / "made"
    save_maps(root)
    damage(root)
    with pytest.raises(BenchError, match=says) as error:
        scan_predictions(root, ITEMS, CATEGORIES)
    assert "\n" not in str(error.value)


def test_half_precision_that_overflowed_or_is_unknown_to_numpy_is_refused(tmp_path: Path) -> None:
    with np.errstate(over="ignore"):
        np.save(tmp_path / "a.npy", np.array([[7e4, 1.0]]).astype(np.float16))
    with pytest.raises(BenchError, match="values that are not finite"):
        read_map(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((2, 2), "V2"))  # how ml_dtypes saves bfloat16
    with pytest.raises(BenchError, match=r"no numbers that numpy knows, but \|V2 \(bfloat16 is saved so\)"):
        read_map(tmp_path / "a.npy")


def test_whole_numbers_of_an_array_are_taken_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, 255]], np.uint8))
    assert read_map(tmp_path / "a.npy").tolist() == [[0.0, 255.0]]


def test_scores_that_saturated_are_reported(tmp_path: Path) -> None:
    save_maps(tmp_path)
    (note,) = scan_predictions(tmp_path, ITEMS, CATEGORIES).notes  # every map is the same
    assert note.startswith("warning: 3 of 3 test images of tile have one and the same highest score, 5, and")
    write_table(tmp_path / "scores.csv", "score", SCORES)  # these count, and differ
    assert scan_predictions(tmp_path, ITEMS, CATEGORIES).notes == ()


def test_rows_of_categories_that_the_data_set_lacks_are_left_out_and_counted(tmp_path: Path) -> None:
    write_table(tmp_path / "scores.csv", "score", {**SCORES, "rug,cut,000": "1", "rug,good,000": "0"})
    scan = scan_predictions(tmp_path, ITEMS, CATEGORIES)
    assert scan.notes == ("left out 2 rows of scores.csv, of rug: the data set has tile",)


def test_a_folder_with_nothing_of_use_is_named(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("maps follow")
    with pytest.raises(BenchError, match="no maps"):
        scan_predictions(tmp_path, ITEMS, CATEGORIES)
