"""What a benchmark ran on, so that its numbers can be read a year later; and how much memory it took."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("pyrodrop", "torch", "torchvision", "pyro-ppl", "numpy", "numba", "triton", "numpyro", "jax")


def describe_machine() -> dict[str, Any]:
    """The processor, its usable cores, the memory, the accelerator if there is one, and the versions."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": _cpu_name(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": _memory_gb(),
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name)) is not None},
    }


def machine_lines(machine: dict[str, Any]) -> str:
    """The machine in two lines for a person."""
    hardware = f"{machine['cpu']} ({machine['vector_instructions']}), {machine['cores']} cores"
    hardware += f", {machine['memory_gb']} GB, {machine['gpu'] or 'no GPU'}, {machine['system']}"
    software = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{hardware}\nPython {machine['python']}, {software}"


def reset_peak_memory() -> None:
    """Let the peak of this process's memory start again from what it holds now; Linux only, else nothing."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_mb() -> float | None:
    """The most memory this process has held since the last reset, in MB; None where that is not told."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) / 1024 if lines else None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1)
    except (OSError, ValueError, AttributeError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
