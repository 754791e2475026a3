"""`enhance install`: the private Python environment that holds torch."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from chimerax.core.errors import UserError
from chimerax.core.session import Session
from packaging.requirements import Requirement

from . import engine_python
from .background import BackgroundTask
from .child_process import ChildProcess, clean_environment
from .engine_python import NEEDED, EnginePython, executable
from .install_plan import InstallPlan, require_room
from .machine import is_apple_silicon

_MARK = "map_enhance.json"  # in the environment: what was installed
_UNREACHABLE = (
    "{} can't be reached; is there a network, or a proxy that pip must be told of?"
    ' A mirror can be given with "enhance install indexUrl ADDRESS". Pip says: '
)


def _smaller_packages() -> list[str]:
    """What is installed after torch."""
    packages = {name: wanted for name, wanted in NEEDED.items() if name != "torch"}
    if sys.platform == "darwin" and not is_apple_silicon():
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


def remove_private(session: Session) -> str:
    """Remove the private environment, half-made or broken as it may be; a Python that was chosen stays.

    Returns:
        One line on what was removed.

    Raises:
        UserError: there is none, or some of it can't be removed.
    """
    folder = engine_python.private_folder()
    if not folder.is_dir():
        raise UserError(f"enhance uninstall: there is no private environment in {folder}")
    size = sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise UserError(f"enhance uninstall: {error}; close what uses it, and try again") from None
    with contextlib.suppress(OSError):  # there is something else in it
        folder.parent.rmdir()
    engine_python.triggers.activate_trigger("python chosen", engine_python.settings(session).python)
    return f"enhance uninstall: removed {size / 1e9:.1f} GB from {folder}"


def _remember(session: Session, path: str) -> None:
    chosen = engine_python.settings(session)
    chosen.python = path
    chosen.save()
    engine_python.triggers.activate_trigger("python chosen", path)


class _NotThereError(UserError):
    """A package index can't be reached, or hasn't got a package."""


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
        progress = ["--progress-bar", "raw"] if self._pip_version(python) >= (24, 1) else []
        yield "status", "Installing torch"
        yield from self._install_torch([*pip, *progress])
        yield "status", "Installing what else enhance needs"
        yield from self._call([*pip, *progress, *_smaller_packages()])
        yield "status", "Trying the new Python environment"
        self.found = engine_python.describe_python(EnginePython(python, "private"))
        (plan.folder / _MARK).write_text(json.dumps({"build": plan.build, **self.found}))

    def _install_torch(self, pip: list[str]) -> Iterator[tuple[str, str]]:
        """From the planned index; where PyTorch's own has none, or isn't reached, from the one pip is set up with."""
        plan = self.plan
        index = ["--index-url", plan.index] if plan.index else []
        try:
            yield from self._call([*pip, *index, NEEDED["torch"]])
        except _NotThereError:
            if not plan.has_another_index or self.stopped:
                raise
            wanted = self._labelled(plan.build, pip[0])
            general = plan.from_general_index(has_build=wanted is not None)
            require_room(general)
            text = f"{plan.index} can't be used; instead, from the package index that pip is set up with: {general}"
            yield "log", text
            yield "status", text
            yield from self._call([*pip, wanted or NEEDED["torch"]])

    def _labelled(self, build: str, python: str) -> str | None:
        """What to ask of pip for a build by its name, as in 2.13.0+cpu; None where its index has none so called."""
        ask = [python, "-m", "pip", "index", "versions", "torch"]
        text = "\n".join(ChildProcess(ask, environment=clean_environment()).lines())
        known = re.findall(
            rf"[\d.]+\+{build}\b", text.partition("Available versions:")[2]
        )  # the newest comes first
        needed = Requirement(NEEDED["torch"]).specifier
        return next((f"torch=={version}" for version in known if needed.contains(version)), None)

    def _call(self, command: list[str], may_fail: bool = False) -> Iterator[tuple[str, str]]:
        yield "log", " ".join(command)
        environment = clean_environment(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
        try:
            self._process = process = ChildProcess(command, environment=environment)
        except OSError as error:
            raise UserError(f"enhance install: {command[0]} can't be started ({error})") from None
        if self.stopped:
            process.stop()
        last, unreachable, absent = "", False, False
        for line in process.lines():
            unreachable = unreachable or "connection broken by" in line
            absent = absent or "No matching distribution" in line or "HTTP error" in line
            done = re.fullmatch(r"Progress (\d+) of (\d+)", line)
            if done:
                yield "status", f"Downloading: {int(done[1]) / 1e6:.0f} of {int(done[2]) / 1e6:.0f} MB"
            elif line.strip():
                last = line.strip()
                yield "log", line
        if process.exit_code != 0 and not may_fail:
            reason = last.removeprefix("ERROR: ").rstrip(".") or f"exit status {process.exit_code}"
            # Pip then says only that there's no such package.
            hint = _UNREACHABLE.format(self.plan.index or "the package index") if unreachable else ""
            kind = _NotThereError if unreachable or absent else UserError
            raise kind(f"enhance install failed: {hint}{reason}. All of it is in the Log.")

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
            with contextlib.suppress(OSError):  # there is something else in it
                self.plan.folder.parent.rmdir()
            return
        use_private(self.session)
        self.session.logger.info(installed_message(self.found, self.plan.folder))


def installed_message(found: dict, place: str | Path) -> str:
    """One line that says what `enhance` will use."""
    devices = ", ".join(found["devices"])
    return (
        f"enhance is ready: torch {found['torch']}, Python {found['python']}, devices {devices}, in {place}"
    )
