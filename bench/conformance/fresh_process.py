"""Use a model in a process that has not fitted it.

`python -m bench.conformance.fresh_process` runs in a folder with a model and job.json, written by
`Trial.used_elsewhere`. It leaves outputs.npz and heavy.json, the heavy packages that the import loads.
"""

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

HEAVY = frozenset(
    {"diffusers", "matplotlib", "mmseg", "pandas", "segmentation_models_pytorch", "timm", "torch"}
    | {"torchvision", "transformers"}
)
"""What no method's module may import before it fits or is used: it would slow every command."""


def main() -> None:
    job = json.loads(Path("job.json").read_text())
    method = _imported(job)
    Path("heavy.json").write_text(json.dumps(sorted(HEAVY & set(sys.modules))))
    from bench.methods.error_line import code_of, sentence_of

    try:
        _use(job, method)
    except Exception as error:
        sys.exit(" ".join(sentence_of(error, code_of(method.__module__)).split()))


def _imported(job: dict[str, Any]) -> type:
    """The class of the method, whose module may be a file that was loaded by its path."""
    try:
        return getattr(importlib.import_module(job["module"]), job["name"])
    except (ImportError, AttributeError):
        spec = importlib.util.spec_from_file_location("subject", job["file"])
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["subject"] = module
        spec.loader.exec_module(module)
        return getattr(module, job["name"])


def _use(job: dict[str, Any], method: type) -> None:
    import numpy as np

    if job["threads"]:
        import torch

        torch.set_num_threads(job["threads"])
    module, suite = job["suite"]
    trial = getattr(importlib.import_module(module), suite)(
        method,
        Path.cwd() / "trial",
        job["preset"],
        job["overrides"],
        Path(job["weights"]) if job["weights"] else None,
        job["device"],
        resolution=job["resolution"],
    )
    part = trial.parts()[0]
    outputs = trial.outputs(part, Path.cwd() / "model", trial.use_context(part))
    np.savez("outputs.npz", **outputs)


if __name__ == "__main__":
    main()
