"""What version 2 of the renderer draws, on every processor."""

import numpy as np
import pytest

from bench.sample import RENDERER_VERSION, SampleSpec, render

# category, defect: mean colour, pixels in the mask, mean depth in metres, of test item 0 at 64 pixels, seed 0
DRAWN = {
    ("chip", "scratch"): ((74.0, 97.0, 83.8), 14, 0.34907),
    ("leather", "scratch"): ((124.1, 91.9, 77.5), 43, 0.35007),
    ("washer", "scratch"): ((86.9, 87.5, 89.0), 18, 0.34927),
    ("weave", "missing_part"): ((126.1, 114.3, 123.4), 26, 0.34960),
}


@pytest.mark.parametrize(("category", "defect"), DRAWN)
def test_a_renderer_that_draws_otherwise_has_another_version(category: str, defect: str) -> None:
    assert RENDERER_VERSION == 2, "the renderer's version went up: pin what it draws now"
    colour, pixels, depth = DRAWN[category, defect]
    rendered = render(SampleSpec(size=64), category, "test", defect, 0)
    assert rendered.image.mean((0, 1)) == pytest.approx(colour, abs=0.3)
    assert abs(np.count_nonzero(rendered.mask) - pixels) <= 2
    assert rendered.depth.mean() == pytest.approx(depth, abs=2e-5)
