"""`enhance install`: the private Python environment that holds torch."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chimerax.core.errors import UserError
from chimerax.core.session import Session

from . import engine_python
from .background import BackgroundTask
from .child_process import ChildProcess, clean_environment
from .engine_python import NEEDED, EnginePython, executable

BUILDS = ("cpu", "cuda", "mps")
# Roughly what is downloaded and what it fills on disk (GB), everything counted.
SIZES = {"cpu": (0.3, 1.2), "cuda": (3.5, 8.0), "mps": (0.2, 0.7)}
# PyTorch's own indexes: the general index has one build for each platform, CUDA on Linux, CPU on Windows.
TORCH_INDEX = "https://download.pytorch.org/whl/"
_MARK = "map_enhance.json"


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

    def __str__(self) -> str:
        return (
            f"PyTorch ({self.build.upper()} build) for enhance: about {self.download:g} GB to download,"
            f" {self.disk:g} GB on disk, in {self.folder}"
        )


def plan_install(build: str | None = None, base: str | None = None, index: str | None = None) -> InstallPlan:
    """Choose the build of torch for this machine, unless told.

    Args:
        build: one of BUILDS; by default CUDA where there is an NVIDIA driver, MPS on an Apple silicon Mac.
        base: the Python to make the environment with, by default ChimeraX's.
        index: address of a package index that has torch, such as an institute's mirror.

    Raises:
        UserError: that build does not exist for this machine.
    """
    driver = cuda_of_driver()
    build = build or _best_build(driver)
    if (build == "mps") != _is_apple_silicon():
        available = "mps is" if _is_apple_silicon() else "cpu and cuda are"
        raise UserError(f"enhance install: PyTorch has no {build} build for this machine; {available} there")
    if index is None:
        index = _index(build, driver)
    folder = engine_python.private_folder()
    download, disk = SIZES[build]
    return InstallPlan(folder, base or engine_python.own_python().path, build, index, download, disk)


def _best_build(driver: tuple[int, int] | None) -> str:
    if _is_apple_silicon():
        return "mps"
    return "cuda" if driver else "cpu"


def _is_apple_silicon() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


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


def _smaller_packages() -> list[str]:
    """What is installed after torch."""
    packages = {name: wanted for name, wanted in NEEDED.items() if name != "torch"}
    if sys.platform == "darwin" and not _is_apple_silicon():
        packages["numpy"] += ",<2"  # the last torch for Intel Macs, 2.2, was built for numpy 1
    return list(packages.values())


def existing_install(plan: InstallPlan) -> dict | None:
    """What `describe_python` says of a working environment at the planned place with the planned build."""
    try:
        mark = json.loads((plan.folder / _MARK).read_text())
        found = engine_python.describe_python(EnginePython(str(executable(plan.folder)), "private"))
    except (OSError, ValueError, UserError):
        return None
    return found if mark.get("build") == plan.build else None


def adopt_python(session: Session, path: str) -> dict:
    """Use the Python at `path` from now on, after trying that it has what the engine needs.

    Returns:
        What `engine_python.describe_python` found there.

    Raises:
        UserError: it can't run the engine.
    """
    if Path(path).is_dir():
        path = str(executable(Path(path)))
    # Not resolved: a virtual environment's python is a link, and works by the place of the link.
    path = os.path.abspath(path)
    found = engine_python.describe_python(EnginePython(path, "chosen"))
    _remember(session, path)
    return found


def use_private(session: Session) -> None:
    """Use the private environment from now on, not one chosen before."""
    _remember(session, "")


def _remember(session: Session, path: str) -> None:
    chosen = engine_python.settings(session)
    chosen.python = path
    chosen.save()


class InstallTask(BackgroundTask):
    """Makes the private environment; its "progress" trigger carries the lines shown in the status line.

    Attributes:
        plan: what is being done.
        found: at the end, what `describe_python` says of the new environment.
    """

    def __init__(self, session: Session, plan: InstallPlan) -> None:
        super().__init__(session, "enhance install")
        self.plan = plan
        self.found: dict | None = None
        self._process: ChildProcess | None = None

    def work(self) -> Iterator[tuple[str, str]]:
        """Make the environment anew and fill it; yields ("log" or "status", text)."""
        plan, python = self.plan, str(executable(self.plan.folder))
        plan.folder.parent.mkdir(parents=True, exist_ok=True)
        yield "status", f"Making a Python environment in {plan.folder}"
        yield from self._call([plan.base, "-m", "venv", "--clear", str(plan.folder)])
        pip = [python, "-m", "pip", "install", "--no-input"]
        # A recent pip tells how far a download has come; where it can't be had the old one will do.
        yield from self._call([*pip, "--quiet", "--upgrade", "pip"], may_fail=True)
        index = ["--index-url", plan.index] if plan.index else []
        progress = ["--progress-bar", "raw"] if self._pip_version(python) >= (24, 1) else []
        yield "status", "Installing torch"
        yield from self._call([*pip, *progress, *index, NEEDED["torch"]])
        yield "status", "Installing what else enhance needs"
        yield from self._call([*pip, *progress, *_smaller_packages()])
        yield "status", "Trying the new Python environment"
        self.found = engine_python.describe_python(EnginePython(python, "private"))
        (plan.folder / _MARK).write_text(json.dumps({"build": plan.build, **self.found}))

    def _call(self, command: list[str], may_fail: bool = False) -> Iterator[tuple[str, str]]:
        yield "log", " ".join(command)
        environment = clean_environment(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
        try:
            self._process = process = ChildProcess(command, environment=environment)
        except OSError as error:
            raise UserError(f"enhance install: {command[0]} can't be started ({error})") from None
        if self.stopped:
            process.stop()
        last = ""
        for line in process.lines():
            done = re.fullmatch(r"Progress (\d+) of (\d+)", line)
            if done:
                yield "status", f"Downloading: {int(done[1]) / 1e6:.0f} of {int(done[2]) / 1e6:.0f} MB"
            elif line.strip():
                last = line.strip()
                yield "log", line
        if process.exit_code != 0 and not may_fail:
            reason = last.removeprefix("ERROR: ").rstrip(".") or f"exit status {process.exit_code}"
            raise UserError(f"enhance install failed: {reason}. All of it is in the Log.")

    def _pip_version(self, python: str) -> tuple[int, ...]:
        ask = [python, "-c", "import pip; print(pip.__version__)"]
        lines = list(ChildProcess(ask, environment=clean_environment()).lines())
        return tuple(int(number) for number in re.findall(r"\d+", lines[0])[:2]) if lines else (0,)

    def stop_work(self) -> None:
        """End pip."""
        if self._process is not None:
            self._process.stop()

    def handle(self, event: tuple[str, str]) -> None:
        """Show a line in the Log or the status line."""
        kind, text = event
        logger = self.session.logger
        if kind == "log":
            logger.info(text)
        else:
            logger.status(text, blank_after=0)
            self.triggers.activate_trigger("progress", text)

    def finish(self) -> None:
        """Use the new environment from now on; remove a half-made one."""
        self.session.logger.status("")
        if self.found is None:
            shutil.rmtree(self.plan.folder, ignore_errors=True)
            return
        use_private(self.session)
        self.session.logger.info(installed_message(self.found, self.plan.folder))


def installed_message(found: dict, place: str | Path) -> str:
    """One line that says what `enhance` will use."""
    devices = ", ".join(found["devices"])
    return (
        f"enhance is ready: torch {found['torch']}, Python {found['python']}, devices {devices}, in {place}"
    )
