"""Fixtures that drive a real Chromium, and hold that no page asks anything of the network.

Every request of every page is recorded; one that would leave this machine is refused and fails
the test. Pictures land in tests/browser/output, which git ignores.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from workbench.apps.doctor import browser_path
from workbench.apps.launch import unused_port

ROOT = Path(__file__).parents[2]
OUTPUT = Path(__file__).parent / "output"
HERE = {"127.0.0.1", "localhost", "", None}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


@dataclass
class Record:
    """What the pages of one test asked for, and what went wrong in them."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def outside(self) -> list[str]:
        return [address for address in self.requests if urlsplit(address).hostname not in HERE]


@dataclass(frozen=True)
class Server:
    """A started launcher: the addresses it printed, by name, and its lines so far."""

    links: dict[str, str]
    lines: list[str]


@pytest.fixture(scope="session")
def chromium():
    """The browser itself, one for the run."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def record() -> Record:
    """Requests and errors of the pages of this test."""
    return Record()


@pytest.fixture
def page(chromium, record, request):
    """A fresh page, 1400 x 1000; the test fails if it asks another machine or a script breaks.

    What it shows at the end, well or ill, is kept as output/NAME_OF_THE_TEST.png.
    """
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(60_000)
    context.on("request", lambda request: record.requests.append(request.url))
    context.on("weberror", lambda error: record.errors.append(str(error.error)))
    context.on(
        "page",
        lambda new: new.on("websocket", lambda socket: record.requests.append(socket.url)),
    )
    context.route(lambda address: urlsplit(address).hostname not in HERE, lambda to: to.abort())
    shown = context.new_page()
    yield shown
    OUTPUT.mkdir(exist_ok=True)
    shown.screenshot(
        path=OUTPUT / (re.sub(r"[^\w.-]+", "-", request.node.name).strip("-") + ".png")
    )
    context.close()
    assert not record.outside, "these requests would leave the machine"
    assert not record.errors, "these scripts broke"


@pytest.fixture
def console(page) -> list[str]:
    """Console errors of the page; the test fails when there are any at its end."""
    errors: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    yield errors
    assert errors == []


CONTROLS = {
    "button", "checkbox", "combobox", "searchbox", "slider", "spinbutton", "textbox",
    "DisclosureTriangle",
}  # fmt: skip


@pytest.fixture
def control_names(page) -> Callable[[], list[str]]:
    """`control_names()` gives the names that a screen reader says of all controls, "" for none.

    Controls that have just been drawn get theirs a moment later, for which it waits.
    """
    session = page.context.new_cdp_session(page)

    def now() -> list[str]:
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        kinds = [node for node in nodes if node.get("role", {}).get("value") in CONTROLS]
        return [node.get("name", {}).get("value", "").strip() for node in kinds]

    def settled() -> list[str]:
        for _ in range(50):
            if "" not in (names := now()):
                return names
            page.wait_for_timeout(100)
        return now()

    return settled


@pytest.fixture
def shoot(page) -> Callable[[str], Path]:
    """`shoot(name)` keeps a picture of the page half way as output/NAME.png."""
    OUTPUT.mkdir(exist_ok=True)

    def take(name: str) -> Path:
        path = OUTPUT / f"{name}.png"
        page.screenshot(path=path)
        return path

    return take


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Server]:
    """JupyterLab as `make lab BROWSER=no` starts it, with a home of its own."""
    yield from _launched("lab", tmp_path_factory.mktemp("home"))


@pytest.fixture
def lab_notebook(lab, request) -> Iterator[Callable[..., str]]:
    """`lab_notebook(*sources)` writes a notebook of these code cells; gives its address in lab."""
    path = OUTPUT / f"{re.sub(r'[^a-z_]+', '-', request.node.name)}.ipynb"

    def written(*sources: str) -> str:
        OUTPUT.mkdir(exist_ok=True)
        cells = [
            {"cell_type": "code", "id": f"c{i}", "execution_count": None, "metadata": {},
             "outputs": [], "source": source}
            for i, source in enumerate(sources)
        ]  # fmt: skip
        kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
        about = {"metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps({"cells": cells, **about}), "utf-8")
        parts = urlsplit(lab.links["Notebook"])
        at = f"/lab/tree/{path.relative_to(ROOT).as_posix()}?{parts.query}"
        return f"{parts.scheme}://{parts.netloc}{at}"

    yield written
    path.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Server]:
    """The Panel pages as `make serve BROWSER=no` starts them."""
    yield from _launched("serve", tmp_path_factory.mktemp("home"))


def _launched(command: str, home: Path) -> Iterator[Server]:
    arguments = ["-m", "workbench.cli", command, "--no-browser", "--port", str(unused_port())]
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server, ready = Server({}, []), threading.Event()
    reader = threading.Thread(target=_read, args=(process.stdout, server, ready), daemon=True)
    reader.start()
    try:
        assert ready.wait(240), "".join(server.lines)
        assert server.links, "".join(server.lines)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)
        reader.join(timeout=10)
        process.stdout.close()


def _read(stream, server: Server, ready: threading.Event) -> None:
    """Take in the launcher's lines; ready once it says how to stop, or has ended."""
    for line in stream:
        server.lines.append(line)
        if link := re.match(r"  (\S.*?)\s+(http://\S+)$", line):
            server.links[link[1]] = link[2]
        if line.startswith("Stop with"):
            ready.set()
    ready.set()
