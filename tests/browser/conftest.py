"""A headless Chromium that may not reach anything but the disk, and a page to open in it."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.data.pool import PoolWriter
from bench.records import Record
from bench.results import Gallery, Maps, Results, Trace
from reports.site import write_site

HOSTILE = '<script>document.title="owned"</script>"><img src=x onerror=\'document.title="owned"\'>'

NOBODY = "not an origin"


@dataclass(frozen=True)
class Visit:
    """What came of opening a page."""

    dom: str
    console: tuple[str, ...]
    requests: tuple[str, ...]
    """Addresses other than of files that were asked for."""


def _chromium() -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium on the PATH; apt-get install chromium")
    return program


def _run(arguments: list[str], profile: Path) -> subprocess.CompletedProcess[str]:
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--hide-scrollbars",
    ]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags += ["--disable-dev-shm-usage", f"--user-data-dir={profile}", "--enable-logging=stderr"]
    flags += ["--host-resolver-rules=MAP * ~NOTFOUND"]
    return subprocess.run(
        [_chromium(), *flags, *arguments], capture_output=True, text=True, timeout=120, check=True
    )


@pytest.fixture
def visit(tmp_path: Path) -> Callable[..., Visit]:
    def visited(page: Path, *flags: str) -> Visit:
        log = tmp_path / "net.json"
        done = _run([f"--log-net-log={log}", "--dump-dom", *flags, page.as_uri()], tmp_path / "profile")
        console = tuple(line for line in done.stderr.splitlines() if "CONSOLE" in line)
        events = json.loads(log.read_text())["events"]
        params = [event.get("params", {}) for event in events]
        # Chromium asks for things of its own accord too; those have no initiator.
        asked = {each["url"] for each in params if each.get("initiator", NOBODY) != NOBODY and "url" in each}
        requests = tuple(sorted(url for url in asked if not url.startswith("file:")))
        return Visit(done.stdout, console, requests)

    return visited


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[..., np.ndarray]:
    def taken(page: Path, width: int, *flags: str) -> np.ndarray:
        from PIL import Image

        target = tmp_path / f"{width}.png"
        _run(
            [f"--screenshot={target}", f"--window-size={width},900", *flags, page.as_uri()],
            tmp_path / "profile",
        )
        return np.asarray(Image.open(target).convert("RGB"))

    return taken


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with a hostile name in every place that a user can name."""
    rng = np.random.default_rng(0)
    pool = tmp_path / "pool"
    pool.mkdir()
    writer = PoolWriter(pool, 6, 32, fields=("masks",))
    for row in range(6):
        mask = np.zeros((32, 32), bool)
        mask[8:16, 8:16] = row < 4
        image = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        writer.add({"defect": HOSTILE if row < 4 else "good", "stem": HOSTILE}, image, masks=mask)
    writer.close()
    np.save(pool / "amaps.npy", rng.random((6, 32, 32), dtype=np.float32))
    records = [
        Record(
            category=category,
            mix=mix,
            generator=generator,
            detector="unet",
            level="pixel",
            metric=metric,
            value=float(rng.random()),
        )
        for category in (HOSTILE, "bolt")
        for generator, mix in (("none", "real"), (HOSTILE, "generated"), ("plain", "generated"))
        for metric in ("ap", "iou")
    ]
    records.append(
        Record(
            category="bolt",
            mix="generated",
            generator="broken",
            detector="unet",
            level="pixel",
            metric="ap",
            status="failed",
            note=HOSTILE,
        )
    )
    results = Results(
        protocol=HOSTILE,
        scale="smoke",
        dataset=HOSTILE,
        records=tuple(records),
        replicates=lambda task: {},
        provenance={"command": "bench run --protocol p", HOSTILE: HOSTILE},
        banner=HOSTILE,
        galleries=(Gallery("bolt", HOSTILE, HOSTILE, 0, pool, (0, 1, 2)),),
        maps=(Maps("bolt", "unet", HOSTILE, "generated", 0, pool, pool),),
        traces=(Trace("unet", HOSTILE, "generated", "", 0, {"step": np.arange(9), "loss": np.arange(9.0)}),),
    )
    return write_site(results, tmp_path / "a folder with spaces" / "site")
