import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.errors import BenchError
from generators.anomalyhybrid.pidinet import (
    KINDS,
    DifferenceConv,
    PiDiNet,
    difference,
    finest_edges,
    load_pidinet,
    plain_kernel,
)
from generators.anomalyhybrid.sources import PIDINET, find_pidinet

SHARED = Path(os.environ.get("DEFECTBENCH_SHARED", Path(__file__).parents[4] / "shared"))
WEIGHTS = SHARED / "weights" / "pidinet"


@pytest.fixture(scope="module")
def released() -> PiDiNet:
    """The network with the authors' own weights."""
    if not (WEIGHTS / PIDINET).is_file():
        pytest.skip(f"the authors' checkpoint is not in {WEIGHTS}")
    return load_pidinet(find_pidinet(WEIGHTS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", [1, 6])
def test_a_difference_convolution_equals_its_plain_convolution(kind: str, groups: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, 9, 8, generator=generator, dtype=torch.float64)
    weight = torch.randn(6, 6 // groups, 3, 3, generator=generator, dtype=torch.float64)
    kernel = plain_kernel(weight, kind)
    plain = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=groups)
    torch.testing.assert_close(plain, difference(x, weight, kind, groups))


@pytest.mark.parametrize("kind", ["central", "angular", "radial"])
def test_a_difference_of_equal_pixels_is_nothing(kind: str) -> None:
    weight = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    flat = torch.full((1, 4, 9, 9), 3.0)
    kernel = plain_kernel(weight, kind)
    found = F.conv2d(flat, kernel, padding=kernel.shape[-1] // 2, groups=4)[..., 2:-2, 2:-2]
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-5, rtol=0)


def test_the_kinds_stand_in_the_order_of_carv4() -> None:
    layers = [m for m in PiDiNet().modules() if isinstance(m, DifferenceConv)]
    assert [layer.kind for layer in layers] == list(KINDS) * 4


def test_the_authors_checkpoint_gives_equal_edges_by_differences_and_by_plain_convolutions(
    released: PiDiNet, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = finest_edges(released, picture[None], "cpu")

    def by_definition(layer: DifferenceConv, x: torch.Tensor) -> torch.Tensor:
        return difference(x, layer.weight, layer.kind, layer.groups)

    monkeypatch.setattr(DifferenceConv, "forward", by_definition)
    np.testing.assert_allclose(finest_edges(released, picture[None], "cpu"), plain, atol=1e-5)


def test_the_authors_checkpoint_finds_the_outlines_of_a_picture(
    released: PiDiNet, picture: np.ndarray
) -> None:
    edges = finest_edges(released, picture[None], "cpu")[0]
    cut, ground = edges[28:35, 24:40].max(axis=0).mean(), edges[4:10, 30:50].mean()
    assert cut > 0.4
    assert cut > 1.5 * ground


def test_the_first_granularity_has_the_most_detail(released: PiDiNet, picture: np.ndarray) -> None:
    x = torch.from_numpy(picture[None]).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        maps = released((x - 0.45) / 0.225)[:4]
    detail = [float(edges.diff(dim=2).abs().mean()) for edges in maps]
    assert detail[0] == max(detail)


def test_another_file_under_the_name_of_the_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / PIDINET).write_bytes(b"something else")
    with pytest.raises(BenchError, match="is not the published PiDiNet"):
        find_pidinet(tmp_path)
