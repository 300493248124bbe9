"""What tests of several folders share: plug-in files for a while, and anomalib, the peer of PatchCore."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from bench.methods import registry


@pytest.fixture(scope="session")
def plugged() -> Callable[[Path], AbstractContextManager[None]]:
    """Inside `with plugged(file)` the methods of a plug-in file are registered, outside they are not."""

    @contextmanager
    def plug(path: Path) -> Iterator[None]:
        before = {kind: set(adapters) for kind, adapters in registry._PLUGINS.items()}
        registry.load_plugins([str(path)])
        try:
            yield
        finally:
            for kind, adapters in registry._PLUGINS.items():
                for name in set(adapters) - before[kind]:
                    del adapters[name]

    return plug


@pytest.fixture(scope="session")
def anomalib() -> Any:
    """anomalib's PatchCore, its greedy sampler, and `twin`, its PatchCore with the weights of our backbone.

    Skipped where the extra `peers` is not installed.
    """
    spec = importlib.util.find_spec("anomalib")
    if spec is None or spec.origin is None:
        pytest.skip("anomalib is not installed: pip install 'defectbench[peers]'")
    for name in ("models", "models.image"):
        # Each of these loads thirty models, of which one is compared.
        package = types.ModuleType(f"anomalib.{name}")
        package.__path__ = [str(Path(spec.origin).parent / name.replace(".", "/"))]
        sys.modules.setdefault(package.__name__, package)
    model = import_module("anomalib.models.image.patchcore.torch_model").PatchcoreModel
    greedy = import_module("anomalib.models.components.sampling.k_center_greedy").KCenterGreedy

    def twin(ours: Any) -> Any:
        theirs = model(layers=ours.layers, backbone=ours.name.removeprefix("timm/"), pre_trained=False)
        network = theirs.feature_extractor.feature_extractor
        # Feature-only networks of timm name some of their modules with underscores.
        flat = {name.replace(".", "_"): value for name, value in ours.network.state_dict().items()}
        network.load_state_dict({name: flat[name.replace(".", "_")] for name in network.state_dict()})
        return theirs

    return types.SimpleNamespace(Model=model, Greedy=greedy, twin=twin)
