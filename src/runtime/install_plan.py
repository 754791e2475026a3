"""What `enhance install` would do on this machine: which build of torch, where, how big."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from chimerax.core.errors import UserError

from . import engine_python
from .machine import cuda_of_driver, is_apple_silicon

# Roughly what is downloaded and what it fills on disk (GB), everything counted.
SIZES = {"cpu": (0.3, 1.2), "cuda": (3.5, 8.0), "mps": (0.2, 0.7)}
# PyTorch's own indexes: the general index has one build for each platform, CUDA on Linux, CPU on Windows.
TORCH_INDEX = "https://download.pytorch.org/whl/"


@dataclass(frozen=True)
class InstallPlan:
    """What `enhance install` would do.

    Attributes:
        folder: the environment's place.
        base: the Python that makes it.
        build: "cpu", "cuda" or "mps".
        index: package index for torch; "" is pip's usual one.
        download: GB to fetch, roughly.
        disk: GB it fills, roughly.
    """

    folder: Path
    base: str
    build: str
    index: str
    download: float
    disk: float

    @property
    def has_another_index(self) -> bool:
        """Whether the package index that pip is set up with is neither the plan nor against the user's choice."""
        return self.index.startswith(TORCH_INDEX)

    def from_general_index(self, has_build: bool) -> InstallPlan:
        """The plan with the package index that pip is set up with, where the planned build is or isn't.

        Usually there is one build for each platform: that for CUDA on Linux, which runs without CUDA as well.
        """
        build = "cuda" if sys.platform == "linux" and not has_build else self.build
        download, disk = SIZES[build]
        return replace(self, build=build, index="", download=download, disk=disk)

    def __str__(self) -> str:
        return (
            f"PyTorch ({self.build.upper()} build) for enhance: about {self.download:g} GB to download,"
            f" {self.disk:g} GB on disk, in {self.folder}"
        )


def plan_install(build: str | None = None, base: str | None = None, index: str | None = None) -> InstallPlan:
    """Choose the build of torch for this machine, unless told.

    Args:
        build: one of SIZES; by default CUDA where there is an NVIDIA driver, MPS on an Apple silicon Mac.
        base: the Python to make the environment with, by default ChimeraX's.
        index: address of a package index that has torch, such as an institute's mirror.

    Raises:
        UserError: that build does not exist for this machine.
    """
    driver = cuda_of_driver()
    build = build or _best_build(driver)
    if (build == "mps") != is_apple_silicon():
        available = "mps is" if is_apple_silicon() else "cpu and cuda are"
        raise UserError(f"enhance install: PyTorch has no {build} build for this machine; {available} there")
    if index is None:
        index = _index(build, driver)
    folder = engine_python.private_folder()
    download, disk = SIZES[build]
    return InstallPlan(folder, base or engine_python.own_python().path, build, index, download, disk)


def _best_build(driver: tuple[int, int] | None) -> str:
    if is_apple_silicon():
        return "mps"
    return "cuda" if driver else "cpu"


def _index(build: str, driver: tuple[int, int] | None) -> str:
    if sys.platform == "darwin" or (sys.platform == "win32" and build == "cpu"):
        return ""
    if build == "cpu":
        return TORCH_INDEX + "cpu"
    version = driver or (13, 0)
    newest = next((name for least, name in _CUDA_BUILDS if version >= least), _CUDA_BUILDS[-1][1])
    return TORCH_INDEX + newest


# The newest CUDA build that a driver can run, by the CUDA version it reports.
_CUDA_BUILDS = (((13, 0), "cu130"), ((12, 8), "cu128"), ((12, 0), "cu126"))


def require_room(plan: InstallPlan) -> None:
    """Raise UserError if the disk is too full for the plan."""
    folder = plan.folder
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < plan.disk:
        raise UserError(
            f"enhance install needs {plan.disk:g} GB, but the disk of {folder} has {free:.1f} GB free"
        )
