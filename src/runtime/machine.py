"""What graphics processors this machine has, as far as that shows without PyTorch."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from chimerax.core.errors import UserError


def is_apple_silicon() -> bool:
    """Whether this is a Mac with Apple's own processor."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def cuda_of_driver() -> tuple[int, int] | None:
    """CUDA version that the NVIDIA driver supports, (13, 0) if it doesn't tell; None without a driver."""
    program = shutil.which("nvidia-smi")
    if sys.platform == "win32" and not program:
        program = shutil.which(r"C:\Windows\System32\nvidia-smi.exe")
    if sys.platform == "darwin" or not program:
        return None
    flags = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
    try:
        told = subprocess.run([program], capture_output=True, text=True, timeout=30, **flags)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if told.returncode != 0:
        return None
    found = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", told.stdout)
    return (int(found[1]), int(found[2])) if found else (13, 0)


def require_device(name: str) -> None:
    """Raise UserError where there can be none of that kind; PyTorch, which takes seconds to start, knows the rest."""
    missing = None
    if name == "mps" and not is_apple_silicon():
        missing = "is the graphics processor of Apple's own processors, which this machine hasn't got"
    # AMD's graphics cards go by the name of cuda, too.
    if name.startswith("cuda") and cuda_of_driver() is None and not Path("/dev/kfd").exists():
        missing = "is a graphics card, and this machine has no driver of one"
    if missing:
        raise UserError(f"enhance: device {name} {missing}; use device auto or cpu")
