"""This project gates itself: the main job at scale smoke against the baseline in tests/gate/smoke.toml.

Where a change moves numbers on purpose: raise the version of what changed, then
`bench run --protocol mvtec_supervised --scale smoke --categories chip,weave` and
`bench gate --baseline tests/gate/smoke.toml --update --reason "..."`.
"""

from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("main job")
BASELINE = Path(__file__).parents[1] / "gate" / "smoke.toml"


def test_the_main_job_gives_the_numbers_of_the_baseline(ran) -> None:
    gated = ran.bench("gate", "--baseline", str(BASELINE))
    assert gated.code == 0, gated.out + gated.err
    assert gated.out.startswith("bench gate pass: of ")
