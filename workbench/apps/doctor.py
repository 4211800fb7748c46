"""What this machine has for the workbench, and what to do about what is missing.

Nothing is downloaded and nothing is changed; a library is imported only to ask it about a GPU.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

FEATURES = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "AVX-512 VBMI": "avx512vbmi",
    "AVX-512 VNNI": "avx512vnni",
    "AVX-512 BF16": "avx512bf16",
    "AMX": "amx-tile",
    "NEON": "neon",
    "SVE": "sve",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DISTRIBUTION = "lowbit-workbench"
OPTIONAL = {"cluster": "studies on many machines", "peers": "the benchmark's other libraries"}
GIBI = 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, what was found, and what to do if it is missing.

    Example:
        >>> Finding("browser", "none", "apt-get install chromium").missing
        True
    """

    topic: str
    found: str
    advice: str = ""

    @property
    def missing(self) -> bool:
        """Whether there is something to do."""
        return bool(self.advice)


def examine() -> list[Finding]:
    """Every finding about this machine, in the order they are printed.

    Example:
        >>> [finding.topic for finding in examine()][:3]
        ['system', 'Python', 'processor']
    """
    return [
        Finding("system", f"{platform.system()} {platform.release()} {platform.machine()}"),
        _python(),
        *_processor(),
        *_load_and_memory(),
        _numba_cache(),
        *_gpu(),
        browser(),
        *(_extra(*extra) for extra in extras().items()),
    ]


def report(findings: list[Finding]) -> str:
    """The findings as aligned text, with what to do below each missing thing.

    Example:
        >>> print(report([Finding("browser", "none", "apt-get install chromium")]))
        browser  none
                 → apt-get install chromium
    """
    width = max((len(finding.topic) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.topic:<{width}}  {finding.found}")
        if finding.missing:
            lines.append(f"{'':<{width}}  → {finding.advice}")
    return "\n".join(lines)


def as_json(findings: list[Finding]) -> list[dict[str, object]]:
    """The findings as plain values, ready for `json.dumps`.

    Example:
        >>> as_json([Finding("system", "Linux")])
        [{'topic': 'system', 'found': 'Linux', 'advice': '', 'missing': False}]
    """
    return [{**asdict(finding), "missing": finding.missing} for finding in findings]


def browser() -> Finding:
    """Which Chromium the browser tests would drive: `WORKBENCH_CHROMIUM`, else one on the PATH.

    Example:
        >>> browser().topic
        'browser'
    """
    path = browser_path()
    if path:
        return Finding("browser", path)
    return Finding(
        "browser",
        "no Chromium (only the browser tests need it)",
        "apt-get install chromium, or set WORKBENCH_CHROMIUM to the path of one",
    )


def browser_path() -> str | None:
    """Path of that Chromium, or None.

    Example:
        >>> path = browser_path()
        >>> path is None or Path(path).is_file()
        True
    """
    named = os.environ.get("WORKBENCH_CHROMIUM")
    if named is not None:
        return named if Path(named).is_file() else None
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def cpu_features() -> list[str]:
    """The vector features of this processor that make a difference to the kernels.

    Example:
        >>> set(cpu_features()) <= set(FEATURES)
        True
    """
    from llvmlite import binding

    has = binding.get_host_cpu_features()
    return [name for name, flag in FEATURES.items() if has.get(flag)]


def _python() -> Finding:
    where = "an environment" if sys.prefix != sys.base_prefix else "the system's Python"
    return Finding("Python", f"{platform.python_version()} in {where}, {sys.prefix}")


def _processor() -> list[Finding]:
    from workbench.studies.bench import environment

    features = cpu_features()
    slow = "" if {"AVX2", "NEON"} & set(features) else "kernels run, but not at the speed of a copy"
    return [
        Finding("processor", environment()["processor"]),
        Finding("features", ", ".join(features) or "none of those known here", slow),
    ]


def _load_and_memory() -> list[Finding]:
    import psutil

    from workbench.kernels.threads import thread_count

    cores, logical = psutil.cpu_count(logical=False) or 0, psutil.cpu_count() or 1
    load, memory = psutil.getloadavg()[0], psutil.virtual_memory()
    small = "close other programs: Lab, a kernel and torch together take about 0.6 GiB"
    busy = "timings will be of little use until the other programs end"
    return [
        Finding(
            "cores", f"{cores or logical} cores, {logical} logical; kernels use {thread_count()}"
        ),
        Finding("load", f"{load:.2f} over the last minute", busy if load > logical else ""),
        Finding(
            "memory",
            f"{memory.total / GIBI:.1f} GiB, {memory.available / GIBI:.1f} GiB free",
            small if memory.available < GIBI else "",
        ),
    ]


def _numba_cache() -> Finding:
    from workbench.kernels.cache import writable_cache_folder

    folder, version = writable_cache_folder(), importlib.metadata.version("numba")
    text = f"{version}, compiled kernels are kept in {folder}"
    lasting = Path(__file__).anchor == folder.anchor and "workbench-numba-" not in folder.name
    advice = "set NUMBA_CACHE_DIR to a folder that lasts; this one is lost at the next restart"
    return Finding("numba", text, "" if lasting else advice)


def _gpu() -> list[Finding]:
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    if not torch.cuda.is_available():
        return [
            Finding(
                "GPU", f"none that torch {torch.__version__} can use; everything runs on the CPU"
            )
        ]
    names = (torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return [Finding("GPU", f"{', '.join(names)} (CUDA {torch.version.cuda})")]


def extras() -> dict[str, list[str]]:
    """The libraries of each optional extra, as the installed package declares them.

    Example:
        >>> extras()["apps"]
        ['panel']
    """
    found: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires(DISTRIBUTION) or ():
        name, _, condition = requirement.partition(";")
        extra = re.search(r"extra == ['\"](\w+)['\"]", condition)
        if extra:
            library = re.match(r"[\w.-]+", name.strip())
            found.setdefault(extra[1], []).append(library[0] if library else name)
    return found


def _extra(extra: str, names: list[str]) -> Finding:
    found, absent = [], []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    text = ", ".join(found + [f"{name} missing" for name in absent])
    use = f" (optional: {OPTIONAL[extra]})" if extra in OPTIONAL else ""
    advice = f"pip install -c constraints.txt -e '.[{extra}]'{use}" if absent else ""
    return Finding(f"[{extra}]", text, advice)
