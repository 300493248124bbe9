"""What a short training has to have learned: to keep what is right, and to follow depth where it changes."""

from pathlib import Path

import numpy as np
import pytest

from bench.methods import TrainSplit
from generators.anomalyhybrid import AnomalyHybrid
from generators.anomalyhybrid.conditions import open_views
from generators.anomalyhybrid.sampling import Painter

pytestmark = pytest.mark.full

OPTIONS = {"width": 8, "steps": 150, "blocks": 1, "downsamplings": 2, "discriminator_width": 8}


@pytest.fixture(scope="module")
def trained(split: TrainSplit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from bench.methods.context import Context

    out, scratch = tmp_path_factory.mktemp("trained"), tmp_path_factory.mktemp("scratch")
    context = Context(0, "generator.fit", "anomalyhybrid", "", "cpu", scratch)
    AnomalyHybrid.configure("quick", OPTIONS).fit(split, out, context)
    return out


def painted(trained: Path, colour: np.ndarray, structure: np.ndarray) -> np.ndarray:
    """What the depth decoder makes of a colour condition in 0..1 and a structure."""
    painter = Painter(AnomalyHybrid.configure("quick", OPTIONS).params, trained / "rgb", 3, "cpu")
    signed = colour * 2 - 1
    return (painter.run("ahd", np.concatenate([signed, structure]), signed, None)[0] + 1) / 2


def test_identity_conditions_give_the_image_far_better_than_a_copy_of_another(trained, split) -> None:
    for category in split.categories.values():
        views = open_views(category, trained / "conditions" / category.name)["normal"]
        stacks = [views.stack(row) for row in range(len(views))]
        errors = [np.abs(painted(trained, s[:3], s[3:]) - s[:3]).mean() for s in stacks]
        copies = [np.abs(a[:3] - b[:3]).mean() for a in stacks for b in stacks if a is not b]
        assert np.mean(errors) < 0.3 * np.mean(copies)


def test_an_edited_depth_changes_the_image_there_and_hardly_elsewhere(trained, split) -> None:
    y, x = np.mgrid[:64, :64]
    distance = np.hypot(y - 30, x - 34)
    for category in split.categories.values():
        stack = open_views(category, trained / "conditions" / category.name)["normal"].stack(0)
        edited = stack[3:].copy()
        edited[0][distance < 8] -= 0.3
        before, after = (painted(trained, stack[:3], structure) for structure in (stack[3:], edited))
        change = np.abs(after - before).mean(axis=0)
        inside, outside = change[distance < 8].mean(), change[distance > 20].mean()
        assert inside * 255 > 4
        assert inside > 10 * outside
