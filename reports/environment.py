"""Where and with what a run was made: versions, processor, threads, memory, time."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# The name shown, and the distributions that may provide it.
_PACKAGES = {
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "scikit-learn": ("scikit-learn",),
    "numba": ("numba",),
    "pillow": ("pillow",),
    "opencv": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python-headless",
        "opencv-contrib-python",
    ),
    "torch": ("torch",),
    "scenebench": ("scenebench",),
}


def environment(threads: int) -> dict:
    """Return the ``environment`` block of a run: what may differ between equal runs.

    Call it at the end of a run, so that the peak of memory is the run's.

    Parameters
    ----------
    threads : int
        Threads or worker processes the run used.

    Returns
    -------
    dict
        ``versions`` (name to version; packages that are not installed are left out), ``hardware``
        (processor and number of cores this process may use), ``threads``, ``peak_memory_bytes`` (see
        `peak_memory_bytes`) and ``date`` (UTC, ``2026-01-31T23:59:59Z``).
    """
    return {
        "versions": _versions(),
        "hardware": f"{_processor()}, {_n_cores()} cores",
        "threads": threads,
        "peak_memory_bytes": peak_memory_bytes(),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def peak_memory_bytes() -> int:
    """Return the most memory held at once by this process or by one of its ended children.

    The larger of the two, not their sum: the system keeps only the largest child, and does not say
    whether the peaks coincided. 0 where the system does not tell (Windows).
    """
    if resource is None:
        return 0
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in whose)
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name, distributions in _PACKAGES.items():
        for distribution in distributions:
            try:
                versions[name] = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
            break
    return versions


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name; `platform` knows little more than its architecture on Linux."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown processor"


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
