"""What runs `enhance` on this machine, in words for the panel; or what it would take to install it."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread

from chimerax.core.errors import UserError
from chimerax.core.session import Session

from . import engine_python, install_plan


@dataclass(frozen=True)
class EngineLine:
    """Whether `enhance` can run, and what to tell."""

    ready: bool
    text: str


def look_for_engine(session: Session, tell) -> None:
    """Find out in a thread, since PyTorch takes seconds to start; call `tell` with an `EngineLine` afterwards."""

    def find() -> None:
        session.ui.thread_safe(tell, describe(session))

    Thread(target=find, daemon=True).start()


def describe(session: Session) -> EngineLine:
    """Find out now."""
    try:
        return EngineLine(
            True, device_text(engine_python.describe_python(engine_python.find_python(session)))
        )
    except UserError as error:
        reason = str(error)
    try:
        plan = str(install_plan.plan_install())
    except UserError as error:
        plan = str(error)
    missing = "enhance needs PyTorch, which ChimeraX does not include." if "includ" in reason else reason
    return EngineLine(False, f"{missing}\n{plan}.".replace(", in ", "\nin "))


def device_text(found: dict) -> str:
    """The device that `device auto` means."""
    if "cuda" in found["devices"]:
        device = "NVIDIA graphics processor (CUDA)"
    elif "mps" in found["devices"]:
        device = "Apple graphics processor (MPS)"
    else:
        device = "processor (no graphics processor found that PyTorch can use)"
    return f"Device: {device}"
