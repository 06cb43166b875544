"""A folder of results made from a known table, and a real browser to look at a page with."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pyrodrop.results.statistics.counts import count_distribution
from pyrodrop.results.statistics.sizes import size_statistics
from pyrodrop.results.tables.droplet_table import droplet_table

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge")
REQUIRE_BROWSER = "PYRODROP_REQUIRE_BROWSER"
# A browser that says nothing for so long has died; a page takes a second or two.
_PATIENCE = 120.0

# The browser reads its commands from descriptor 3 and answers on 4.
_ON_3_AND_4 = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(given), fcntl.F_DUPFD, 10) for given in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

MakeResults = Callable[..., Path]


@pytest.fixture(scope="session")
def make_results() -> MakeResults:
    """Writes a folder such as a measurement leaves, with n droplets of known places and sizes."""

    def make(folder: Path, n: int = 30, size: tuple[int, int] = (60, 90), seed: int = 0, **summary: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(seed)
        height, width = size
        means = {
            "x_px": generator.uniform(0, width - 1, n),
            "y_px": generator.uniform(0, height - 1, n),
            "radius_px": np.exp(generator.normal(1.2, 0.3, n)),
            "amplitude": generator.uniform(0.2, 0.8, n),
        }
        draws = {
            name: torch.from_numpy(mean + 0.01 * generator.standard_normal((40, n))) for name, mean in means.items()
        }
        presence = generator.beta(3, 1, n)
        count = summary.get("count") or {}
        if 0 < count.get("mean", 0) <= n:  # a table and a count that go together
            presence = np.full(n, count["mean"] / n)
        table = droplet_table(draws, size, 0.02, torch.from_numpy(presence), summary.get("pixel_size_um"))
        table.to_csv(folder / "droplets.csv", index=False, float_format="%.6g")
        diameters = 2 * draws["radius_px"].numpy()
        sizes = size_statistics(diameters, presence, pixel_size_um=summary.get("pixel_size_um"), replicates=100)
        said = {
            "version": "0.1.0",
            "image": "drops.tif",
            "width": width,
            "height": height,
            "channel": "gray",
            "count": count_distribution(presence).as_dict(),
            "sizes": sizes.as_dict(),
            "warnings": [],
            "reduced_chi_square": 1.02,
        }
        (folder / "summary.json").write_text(json.dumps(said | summary), encoding="utf-8")
        pixels = generator.normal(0.1, 0.02, size).astype(np.float32)
        tifffile.imwrite(folder / "image.tif", pixels)
        tifffile.imwrite(folder / "residual.tif", pixels)
        for number, name in enumerate(("residual", "sizes", "count", "overlay")):
            Image.new("RGB", (8, 6), (10 * number, 0, 0)).save(folder / f"{name}.png")
        return folder

    return make


class Page:
    """A page in a real browser, with all that it asked for and complained of.

    Attributes:
        requests: addresses that it asked for, its own included.
        complaints: errors of scripts, of the policy and of the browser.
    """

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser, self._session = browser, session
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the browser's protocol, and its answer."""
        return self._browser.ask(method, parameters, self._session, self._note)

    def open(self, path: Path, width: int = 1200, height: int = 900) -> "Page":
        """Load a file and wait until it has loaded."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=path.resolve().as_uri())
        self._browser.wait_for("Page.loadEventFired", self._session, self._note)
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        return self

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, selector: str) -> None:
        """Press what a selector finds."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def enter(self, selector: str, value: str) -> None:
        """Put a value into a field, as typing does."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{found}.value = {json.dumps(value)}; {found}.dispatchEvent(new Event('input', {{bubbles: true}}))")

    def column(self, table: str, number: int) -> list[str]:
        """Texts of a column of the rows that a table shows."""
        cells = f"[...document.querySelectorAll('#{table} tbody tr')].filter(r => !r.hidden).map(r => r.cells[{number}]"
        return list(self.run(f"{cells}.textContent.trim())"))

    def screenshot(self, path: Path, dark: bool = False) -> np.ndarray:
        """What a person sees, (height, width, 3), also written to a PNG."""
        self.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(said["exceptionDetails"]["text"])
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(said["entry"]["text"])


class Browser:
    """Chromium without a window, spoken to through a pipe; no address outside this machine resolves in it."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--remote-debugging-pipe",
            "about:blank",
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ON_3_AND_4, str(to_read), str(to_write), *command],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._number, self._buffer = 0, b""
        self._seen: list[tuple[str, str | None]] = []

    def page(self) -> Page:
        """A new page."""
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        return Page(self, self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"])

    def ask(
        self,
        method: str,
        parameters: dict[str, Any],
        session: str | None = None,
        note: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        os.write(self._write, json.dumps(asked | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._number:
                assert "error" not in said, f"{method}: {said['error']}"
                return dict(said["result"])
            self._hear(said, session, note)

    def wait_for(self, event: str, session: str, note: Callable[[str, dict[str, Any]], None]) -> None:
        """Wait for an event of a page, which may have been heard already."""
        while (event, session) not in self._seen:
            self._hear(self._next(), session, note)
        self._seen.remove((event, session))

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def _hear(self, said: dict[str, Any], session: str | None, note: Any) -> None:
        if "method" in said and said.get("sessionId") == session:
            if said["method"] == "Page.loadEventFired":
                self._seen.append((said["method"], session))
            if note is not None:
                note(said["method"], said["params"])

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(end - time.monotonic(), 0))[0]:
                raise TimeoutError("the browser does not answer")
            more = os.read(self._read, 1 << 20)
            if not more:
                raise ConnectionError(f"the browser has ended, status {self._process.poll()}")
            self._buffer += more
        message, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(message))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser; skips where none is installed, or fails if one is required."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None or os.name != "posix":
        if os.environ.get(REQUIRE_BROWSER) == "1":
            pytest.fail(f"none of {', '.join(BROWSERS)} is here, and {REQUIRE_BROWSER}=1 says that one must", False)
        pytest.skip(f"no browser to look at the page with: none of {', '.join(BROWSERS)} is installed")
    running = Browser(program, tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture
def page(browser: Browser) -> Page:
    """A fresh page in the browser."""
    return browser.page()
