"""Tests that share a costly fixture run on one worker: pytest-xdist 3.8 loses the groups with pytest 9.2."""

import pytest


@pytest.mark.xdist_group("one worker")
def test_a_group_is_known_to_the_scheduler(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("loadgroup", default=False):
        assert request.node.nodeid.endswith("@one worker")
