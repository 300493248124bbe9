"""A headless Chromium that may reach nothing but the disk, driven over its DevTools pipe, and a site in it.

The pipe gives real clicks, keys and colour schemes, and evaluates expressions beside the page's own policy.
"""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.pool import PoolWriter
from bench.record.record import Record
from bench.results.run import Curves, Gallery, Maps, NearPair, Results, Trace
from reports.site.site import write_site

LONG = "long-" + "x" * 295
TURNED = "\u202eתוצאה\u202c"
HOSTILE = '<script>document.title="owned"</script>"><img src=x onerror=\'document.title="owned"\'>'
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
PATIENCE = 60.0


class Browser:
    """One tab. `console` and `requests` hold what the pages since the last `open` said and asked for."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        # out of the way of 3 and 4, from which Chromium reads commands and to which it writes answers
        high = [fcntl.fcntl(pipe, fcntl.F_DUPFD, 20) for pipe in (to_read, to_write)]
        os.close(to_read)
        os.close(to_write)
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=lambda: [os.dup2(pipe, number) for pipe, number in zip(high, (3, 4), strict=True)],
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for pipe in high:
            os.close(pipe)
        self._number = 0
        self._rest = b""
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Performance"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._read, 1 << 16)
            assert piece, "chromium ended"
            self._rest += piece
        one, _, self._rest = self._rest.partition(b"\0")
        return json.loads(one)

    def open(self, page: Path, anchor: str = "") -> None:
        """Open a page from disk and wait until it has loaded."""
        self.call("Page.navigate", url="about:blank")
        self._wait_for_load()
        self._events.clear()
        self.call("Page.navigate", url=page.as_uri() + anchor)
        self._wait_for_load()

    def _wait_for_load(self) -> None:
        until = time.monotonic() + PATIENCE
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            assert time.monotonic() < until
            self._events.append(self._next())
        self._events = [event for event in self._events if event["method"] != "Page.loadEventFired"]

    def _told(self, method: str) -> list[dict[str, Any]]:
        self.run("1")  # whatever the page had to say has arrived before this answer
        return [event["params"] for event in self._events if event.get("method") == method]

    @property
    def console(self) -> list[str]:
        messages = [str(event["args"]) for event in self._told("Runtime.consoleAPICalled")]
        messages += [event["entry"]["text"] for event in self._told("Log.entryAdded")]
        return messages + [
            event["exceptionDetails"]["text"] for event in self._told("Runtime.exceptionThrown")
        ]

    @property
    def requests(self) -> list[str]:
        """Addresses other than of files that were asked for."""
        urls = [event["request"]["url"] for event in self._told("Network.requestWillBeSent")]
        return sorted({url for url in urls if not url.startswith("file:")})

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """A click of the mouse in the middle of the first element of this selector."""
        point = self.run(
            f"(() => {{const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=point[0], y=point[1], button="left", clickCount=1
            )

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def choose(self, name: str, value: str) -> None:
        """Choose an entry of a filter, as a reader does."""
        self.run(
            f"(() => {{const s = document.querySelector('select[name={name}]'); "
            f"s.value = {json.dumps(value)}; "
            "s.dispatchEvent(new Event('change', {bubbles: true}))})()"
        )

    def screen(self, width: int, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """ "dark" or "light", as the reader's system says."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def scripts(self, allowed: bool) -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def picture(self) -> np.ndarray:
        """uint8 [H, W, 3] of what is on the screen."""
        import io

        from PIL import Image

        data = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._write)
        os.close(self._read)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium on the PATH; apt-get install chromium")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser as a new reader has it: light, wide, nothing remembered."""
    chromium.screen(1280)
    chromium.prefer("light")
    chromium.scripts(True)
    yield chromium
    chromium.scripts(True)
    chromium.run("(() => {try {localStorage.clear()} catch {}})()")


def _pool(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    writer = PoolWriter(folder, 6, 32, fields=("masks",))
    for row in range(6):
        mask = np.zeros((32, 32), bool)
        mask[8:16, 8:16] = row < 4
        image = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        writer.add({"defect": HOSTILE if row < 4 else "good", "stem": HOSTILE}, image, masks=mask)
    writer.close()
    np.save(folder / "amaps.npy", rng.random((6, 32, 32), dtype=np.float32))
    return folder


@pytest.fixture(scope="session")
def hostile_results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results with a hostile name in every place that a user can name."""
    pool = _pool(tmp_path_factory.mktemp("data") / "pool")
    rng = np.random.default_rng(1)
    records = [
        Record(
            **{"category": category, "mix": mix, "generator": generator, "detector": detector},
            **{"level": "pixel", "metric": metric, "value": float(rng.random()), "task": f"{number:032x}"},
        )
        for number, (category, (generator, mix), detector, metric) in enumerate(
            (category, row, detector, metric)
            for category in (HOSTILE, LONG, TURNED, "bolt")
            for row in (("none", "real"), (HOSTILE, "generated"), (LONG, "generated"), ("plain", "generated"))
            for detector in ("unet", HOSTILE)
            for metric in ("ap", "iou")
        )
    ]
    failed = replace(
        records[0], generator="broken", mix="generated", status="failed", value=None, note=HOSTILE
    )
    cost = replace(records[4], level="cost", metric="detector.fit seconds", unit="s", value=3.0)
    printed = [
        Record(
            **{"kind": "published", "dataset": "mvtec_ad", "category": "mean", "mix": "generated"},
            **{"generator": generator, "detector": "unet", "level": "pixel", "metric": "ap", "value": 0.9},
            source="Paper, Table 1",
        )
        for generator in ("plain", "paper")
    ]
    points = {"roc": np.array([[0.0, 0.0], [0.2, 0.9], [1.0, 1.0]]), "pr": np.array([[0.1, 1.0], [1.0, 0.4]])}
    return Results(
        protocol=HOSTILE,
        scale="smoke",
        dataset=LONG,
        title=TURNED,
        records=(*records, failed, cost),
        replicates=lambda task: {},
        provenance={"command": f"bench run --protocol p --data '{LONG}'", HOSTILE: {TURNED: [HOSTILE]}},
        banner=HOSTILE,
        galleries=(
            Gallery("bolt", HOSTILE, HOSTILE, 0, pool, (0, 1, 2)),
            Gallery("bolt", HOSTILE, "real", 0, pool, (0, 1)),
            Gallery(TURNED, LONG, "plain", 0, pool, (0, 1)),
        ),
        near_pairs=(NearPair("bolt", HOSTILE, HOSTILE, 0, 0.2, 0.4, False, (pool, 0), (pool, 1)),),
        maps=(Maps("bolt", "unet", HOSTILE, "generated", 0, pool, pool),),
        traces=(Trace("unet", HOSTILE, "generated", "", 0, {"step": np.arange(9), HOSTILE: np.arange(9.0)}),),
        curves=(Curves(HOSTILE, "unet", HOSTILE, "generated", 0, {"pixel": points, "image": points}),),
        dialects=tuple(
            replace(record, dialect="truncate", value=(record.value or 0) * 0.9) for record in records
        ),
        published=tuple(printed),
        commands={record.task: f"bench run --protocol '{TURNED}'" for record in records},
    )


@pytest.fixture(scope="session")
def site(hostile_results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site of these results and of the same on another data set."""
    out = tmp_path_factory.mktemp("a folder with spaces") / "site"
    write_site([hostile_results, replace(hostile_results, dataset="other")], out)
    return out


@pytest.fixture(scope="session")
def pages(site: Path) -> Callable[[str], Path]:
    """A page of the first leaderboard by the name of its file."""
    folder = min(path.parent for path in site.glob("*/index.html"))
    return lambda name: folder / name
