"""Starts the servers: JupyterLab with the Panel pages beside it, or the Panel pages alone.

Both listen on 127.0.0.1 only, ask the network for nothing, and print addresses that work by one
click. Threads of OpenMP are told to sleep while they wait, because on a busy machine spinning ones
slow a call of a few megabytes by a factor of ten.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path

from workbench.errors import WorkbenchError

HOST = "127.0.0.1"
LAB_PORT, SERVE_PORT = 8888, 5006
START = Path("notebooks/00_start_here.ipynb")
PACKAGE = Path(__file__).parents[1]
PAGES = PACKAGE / "apps" / "pages"
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"}
HOME_FOLDERS = {
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
}


def lab(port: int = LAB_PORT, browser: bool = True) -> int:
    """Run JupyterLab on the start notebook until it is stopped; returns its exit status.

    Args:
        port: a free TCP port; one in use is refused with the next free one named.
        browser: open the start notebook in the user's browser when the server is ready.
    """
    _need("jupyterlab", "notebook")
    _need("panel", "apps")
    root, port = _checkout(), free_port(port)
    token = secrets.token_hex(16)
    addresses = {"Notebook": f"lab/tree/{START.as_posix()}"}
    for page in pages():
        addresses[f"Page {page.stem}"] = f"panel-preview/render/{page.relative_to(root).as_posix()}"
    command = [sys.executable, "-m", "jupyterlab", *_jupyter_options(root, port)]
    links = {name: f"http://{HOST}:{port}/{at}?token={token}" for name, at in addresses.items()}
    extra = {"JUPYTER_TOKEN": token, "JUPYTER_CONFIG_PATH": str(PACKAGE / "apps" / "data")}
    return _run(command, extra, f"http://{HOST}:{port}/api/status?token={token}", links, browser)


def serve(port: int = SERVE_PORT, browser: bool = True) -> int:
    """Run the Panel pages alone until stopped; arguments and result as for `lab`."""
    _need("panel", "apps")
    port = free_port(port)
    files = [str(page) for page in pages()]
    options = ["--address", HOST, "--port", str(port), "--liveness", "--warm"]
    # Panel's own front asks the network for a font and a picture.
    options += ["--log-level", "error", "--index", str(PACKAGE / "apps" / "data" / "index.html")]
    for name in (HOST, "localhost"):
        options += ["--allow-websocket-origin", f"{name}:{port}"]
    links = {f"Page {page.stem}": f"http://{HOST}:{port}/{page.stem}" for page in pages()}
    command = [sys.executable, "-m", "panel", "serve", *files, *options]
    return _run(command, {}, f"http://{HOST}:{port}/liveness", links, browser)


def pages() -> list[Path]:
    """The Panel pages, one file a page; the name of the file is its address.

    Example:
        >>> all(page.suffix == ".py" for page in pages())
        True
    """
    return sorted(PAGES.glob("[a-z]*.py"))


def free_port(port: int) -> int:
    """`port` itself where it can be listened on; else an error that names one that can.

    Example:
        >>> free_port(99999)
        Traceback (most recent call last):
        ...
        workbench.errors.WorkbenchError: PORT=99999 → ports are 1 to 65535 → write PORT=8888
    """
    if not 0 < port < 65536:
        raise WorkbenchError(f"PORT={port}", "ports are 1 to 65535", f"write PORT={LAB_PORT}")
    problem = _refusal(port)
    if problem is None:
        return port
    raise WorkbenchError(f"PORT={port}", problem, f"write PORT={unused_port(max(port, 1023) + 1)}")


def unused_port(first: int = LAB_PORT) -> int:
    """The first port from `first` on that a server can listen on now.

    Example:
        >>> unused_port(50000) >= 50000
        True
    """
    return next(port for port in range(first, 65536) if _refusal(port) is None)


def environment() -> dict[str, str]:
    """The variables of a server process: quiet threads, and folders that can be written.

    A home that cannot be written gets temporary folders in place of the ones Jupyter and IPython
    keep there (numba's is the kernels' business); what the user has set stays as it is.

    Example:
        >>> environment()["OMP_WAIT_POLICY"]
        'PASSIVE'
    """
    chosen = dict(QUIET_THREADS)
    if not _writable(Path.home()):
        spare = Path(tempfile.mkdtemp(prefix="workbench-home-"))
        chosen |= {name: str(spare / folder) for name, folder in HOME_FOLDERS.items()}
    return {**chosen, **os.environ}


def _run(
    command: Sequence[str], extra: dict[str, str], ready: str, links: dict[str, str], browser: bool
) -> int:
    """Start `command`, say where it can be reached once it can, and wait for it to end."""
    variables = {**environment(), **extra}
    began = time.monotonic()
    with _running(command, variables) as server, _running(_warm_up(), variables) as warm:
        print(
            "Starting; the first start also compiles the kernels, about a minute, once ...",
            flush=True,
        )
        _wait_until_ready(server, ready)
        warm.wait()
        print(f"Ready after {time.monotonic() - began:.1f} s. Open:", flush=True)
        width = max(map(len, links))
        for name, link in links.items():
            print(f"  {name:<{width}}  {link}", flush=True)
        print("Stop with Ctrl-C.", flush=True)
        if browser and _has_screen():
            webbrowser.open(next(iter(links.values())))
        return server.wait()


@contextlib.contextmanager
def _running(command: Sequence[str], variables: dict[str, str]) -> Iterator[subprocess.Popen]:
    """A process of its own group, asked to stop when the block ends in whatever way."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    process = subprocess.Popen(command, env=variables, start_new_session=True)
    try:
        yield process
    except KeyboardInterrupt:
        sys.exit(0)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(server: subprocess.Popen, address: str, limit: float = 180.0) -> None:
    """Return once `address` answers; an error where the server ends or stays silent."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        if server.poll() is not None:
            raise WorkbenchError(
                "the server", f"ended with status {server.returncode}", "read its lines above"
            )
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(address, timeout=5).close()
            return
        time.sleep(0.1)
    raise WorkbenchError("the server", f"is silent after {limit:.0f} s", "try another PORT")


def _jupyter_options(root: Path, port: int) -> list[str]:
    """JupyterLab on this machine only, in `root`, with its own log kept to errors."""
    options = [
        f"--ServerApp.root_dir={root}",
        f"--ServerApp.ip={HOST}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.open_browser=False",
        "--ServerApp.log_level=ERROR",
        "--LabApp.log_level=ERROR",
        f"--LabApp.default_url=/lab/tree/{START.as_posix()}",
        "--LabApp.extension_manager=readonly",
    ]
    return options + (["--allow-root"] if os.geteuid() == 0 else [])


def _warm_up() -> list[str]:
    return [sys.executable, "-m", "workbench.apps.warm"]


def _checkout() -> Path:
    """The folder with the notebooks: the clone this package runs from, or the current one."""
    for root in (PACKAGE.parent, Path.cwd()):
        if (root / START).is_file() and PAGES.is_relative_to(root):
            return root
    raise WorkbenchError(
        "workbench lab",
        f"there is no {START} beside the package",
        "run `make lab` in a clone of the repository, or `workbench serve` for the pages",
    )


def _refusal(port: int) -> str | None:
    """Why a server cannot listen on `port`, or None if it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            return "ports below 1024 need an administrator"
        except OSError:
            return "another program listens on this port"
    return None


def _need(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise WorkbenchError(
            module, "is not installed", f"pip install 'lowbit-workbench[{extra}]', or `make lab`"
        )


def _has_screen() -> bool:
    """Whether a graphical browser can be opened here; a text browser would take the terminal."""
    return sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
