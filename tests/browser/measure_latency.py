"""Slider to drawn picture in the Panel page, in a real browser, over 16.8 million values.

    python tests/browser/measure_latency.py [moves] [source]

prints p50 and p95 in milliseconds from the key that moves the slider to the last plot drawn for it.
Run it on a quiet machine; on a busy one the figure says little. The first moves are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from workbench.apps.doctor import browser_path
from workbench.apps.launch import unused_port

ROOT = Path(__file__).parents[2]
WARM_UP = 8

# Every plot of the page says when it has been drawn; plots live in shadow trees.
WATCH = """() => {
  const all = (root) => [...root.querySelectorAll('*')].flatMap(
    (node) => [node, ...(node.shadowRoot ? all(node.shadowRoot) : [])]);
  window.drawn = [];
  const plots = all(document).filter((node) => node.matches('.js-plotly-plot'));
  plots.forEach((plot) => plot.on('plotly_afterplot', () => window.drawn.push(performance.now())));
  document.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
  return plots.length;
}"""


def served(port: int) -> subprocess.Popen:
    """The Panel pages alone, on that port."""
    command = [sys.executable, "-m", "workbench.cli", "serve", "--no-browser", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if re.match("Stop with", line):
            return process
    raise RuntimeError("the server ended")


def measure(address: str, moves: int) -> list[float]:
    """Milliseconds of each move, from key press to the last plot drawn."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=browser_path(), args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address, timeout=180_000)
        handle = page.locator(".noUi-handle").first
        handle.wait_for(timeout=180_000)
        page.wait_for_function(DRAWN, timeout=180_000, polling=200)
        page.wait_for_timeout(3000)
        page.evaluate(WATCH)
        handle.focus()
        times = [one_move(page, "ArrowRight" if i % 40 < 20 else "ArrowLeft") for i in range(moves)]
        browser.close()
    return times


DRAWN = """() => {
  const all = (root) => [...root.querySelectorAll('*')].flatMap(
    (node) => [node, ...(node.shadowRoot ? all(node.shadowRoot) : [])]);
  return all(document).filter((node) => node.matches('.js-plotly-plot .trace')).length >= 12;
}"""


def one_move(page, key: str) -> float:
    """Press the key, wait until no plot has been drawn for 150 ms, and take the last drawing.

    The page is left alone meanwhile, since looking at it takes its time. Exact numbers come in
    later than that and are not counted.
    """
    page.evaluate("() => { window.drawn = []; }")
    page.keyboard.press(key)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        time.sleep(0.3)
        state = page.evaluate("() => [window.pressed, window.drawn, performance.now()]")
        pressed, drawn, now = state
        if drawn and now - drawn[-1] > 150:
            return drawn[-1] - pressed
    raise RuntimeError("nothing was drawn within 10 s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("moves", nargs="?", type=int, default=60)
    parser.add_argument("source", nargs="?", default="synthetic:student_t3,16777216,0")
    options = parser.parse_args()
    port = unused_port(5600)
    process = served(port)
    try:
        query = urlencode({"source": options.source})
        address = f"http://127.0.0.1:{port}/format_explorer?{query}"
        times = sorted(measure(address, options.moves + WARM_UP)[WARM_UP:])
    finally:
        process.terminate()
        process.wait()
    p50, p95 = statistics.median(times), times[min(len(times) - 1, int(0.95 * len(times)))]
    result = {"source": options.source, "moves": len(times), "p50_ms": round(p50, 1)}
    result |= {"p95_ms": round(p95, 1), "max_ms": round(times[-1], 1)}
    result["load_per_core"] = round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
