"""Runs the engine on maps in its own Python process: progress, cancel, clear failure."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from chimerax.core.errors import UserError
from chimerax.core.models import REMOVE_MODELS
from chimerax.core.session import Session
from chimerax.map import Volume

from . import volumes
from .background import BackgroundTask
from .child_process import ChildProcess, clean_environment
from .cryomap.grid import Grid
from .engine_python import ENGINE_FOLDER, find_python
from .enhance_report import duration, results_table


@dataclass(frozen=True)
class EnhanceSettings:
    """What the user asked for, named as the command's options are."""

    method: str | None = None
    resolution: float | None = None
    level: float | None = None
    weights: str | None = None
    device: str = "auto"
    grid_spacing: float | None = None
    mask: Volume | None = None
    model_id: tuple[int, ...] | None = None
    hide_input: bool = True


@dataclass(frozen=True)
class Progress:
    """How far an EnhanceJob is.

    Attributes:
        name: the map in hand.
        fraction: done of all maps together, 0 to 1.
        seconds_left: estimate for the map in hand, or None.
        text: all of it in one line.
    """

    name: str
    fraction: float
    seconds_left: float | None
    text: str


class EnhanceJob(BackgroundTask):
    """One worker process that enhances one map after another.

    Its triggers: "progress" with a `Progress`, "result" with the new Volume, "done" with the job.

    Attributes:
        maps: the input maps.
        results: the new maps, in the order of `maps` but for those that failed.
        reports: what the engine says of each result, by Volume.
    """

    def __init__(self, session: Session, maps: Sequence[Volume], settings: EnhanceSettings) -> None:
        """Write the maps to a temporary folder, for `begin` to start the worker on.

        Raises:
            UserError: no Python with torch, a model number that is taken, a mask that misses a map.
        """
        self._python = find_python(session)
        self._ids = volumes.result_ids(session, settings.model_id, len(maps))
        super().__init__(session, "enhance " + ", ".join(str(v) for v in maps))
        self.triggers.add_trigger("result")
        self.maps = list(maps)
        self.settings = settings
        self.results: list[Volume] = []
        self.reports: dict[Volume, dict] = {}
        self._failures: list[str] = []
        self._device = ""
        self._process: ChildProcess | None = None
        self._told = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="chimerax_enhance_", ignore_cleanup_errors=True)
        try:
            self._write_job()
        except BaseException:
            self._folder.cleanup()
            session.tasks.remove(self)
            raise
        self._closed = session.triggers.add_handler(REMOVE_MODELS, self._models_closed)

    def _write_job(self) -> None:
        wanted = self.settings
        job = {
            "maps": [self._write_map(number, volume) for number, volume in enumerate(self.maps)],
            "method": wanted.method,
            # The worker has another working directory.
            "weights": wanted.weights and os.path.abspath(wanted.weights),
            "device": wanted.device,
            "grid_spacing": wanted.grid_spacing,
        }
        self._path("job.json").write_text(json.dumps(job), encoding="utf-8")

    def _write_map(self, number: int, volume: Volume) -> dict:
        wanted, region = self.settings, volumes.input_region(volume)
        values = self._path(f"{number}.npy")
        np.save(values, volumes.region_values(volume, region))
        mask = None
        if wanted.mask is not None:
            mask = str(self._path(f"{number}_mask.npy"))
            np.save(mask, volumes.mask_on(wanted.mask, volume, region))
        grid = volumes.region_grid(volume, region)
        return {
            "name": volume.name,
            "values": str(values),
            "step": grid.step,
            "origin": grid.origin,
            "cell_angles": grid.cell_angles,
            "rotation": grid.rotation,
            "output": str(self._path(f"{number}_out.npy")),
            "level": volumes.contour_level(volume) if wanted.level is None else wanted.level,
            "resolution": wanted.resolution,
            "mask": mask,
        }

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / name

    def work(self) -> Iterator[dict]:
        """Run the worker and yield its events, in the task's thread."""
        environment = clean_environment(
            PYTHONPATH=str(ENGINE_FOLDER),
            # What Apple's GPU can't do is then done by the CPU instead of failing.
            PYTORCH_ENABLE_MPS_FALLBACK="1",
            **self._python.environment,
        )
        command = [self._python.path, "-m", "cryomap.worker", str(self._path("job.json"))]
        with open(self._path("errors.txt"), "w", encoding="utf-8") as errors:
            try:
                self._process = process = ChildProcess(
                    command, environment=environment, folder=self._folder.name, errors=errors
                )
            except OSError as error:
                raise UserError(f"enhance: {self._python.path} can't be started ({error})") from None
            if self.stopped:
                process.stop()
            finished = False
            for line in process.lines():
                event = _parse(line)
                if event is not None:
                    finished = finished or event["event"] == "done"
                    yield event
        if not finished and not self.stopped:
            raise UserError(self._why_it_died(process.exit_code))

    def _why_it_died(self, code: int) -> str:
        errors = self._path("errors.txt").read_text(encoding="utf-8", errors="replace").strip()
        last = errors.splitlines()[-1] if errors else ""
        if code == -getattr(signal, "SIGKILL", 9) or "MemoryError" in last:
            return (
                "enhance: the worker process was killed, most likely because memory ran out;"
                " show a smaller region of the map (volume ... region ...), or close other programs"
            )
        if code < 0:
            return f"enhance: the worker process died of signal {-code}. {last}".strip()
        return f"enhance: the worker process ended too early (exit status {code}). {last}".strip()

    def stop_work(self) -> None:
        """End the worker."""
        if self._process is not None:
            self._process.stop()

    def handle(self, event: dict) -> None:
        """Act on one line of the worker."""
        kind, logger = event["event"], self.session.logger
        if kind == "progress":
            self._show_progress(event)
        elif kind == "result":
            self._open(event)
        elif kind == "error":
            self._failures.append(event["message"])
            if event.get("kind") == "internal":
                logger.info("enhance: " + event["message"])
        elif kind == "device":
            self._device = f" on {event['device'].upper()}, {event['precision']}"
        elif kind == "log":
            logger.info("enhance: " + event["message"])

    def _show_progress(self, event: dict) -> None:
        number, left = event["map"], event.get("seconds_left")
        name = self.maps[number].name if not self.maps[number].deleted else "map"
        share = event["done"] / max(1, event["total"])
        several = f" ({number + 1} of {len(self.maps)})" if len(self.maps) > 1 else ""
        text = (
            f"Enhancing {name}{several}{self._device}: {share:.0%}, {event['done']} of {event['total']} tiles"
        )
        if left:
            text += f", {duration(left)} left"
        now = time.monotonic()
        if now - self._told > 0.5 or share == 1:
            self._told = now
            self.session.logger.status(text, blank_after=0)
        progress = Progress(name, (number + share) / len(self.maps), left, text)
        self.triggers.activate_trigger("progress", progress)

    def _open(self, event: dict) -> None:
        number, report = event["map"], event["report"]
        volume = self.maps[number]
        if volume.deleted:
            return
        grid = event["grid"]
        result = volumes.open_result(
            self.session,
            f"{volume.name} {report['method']}",
            np.load(event["output"]),
            Grid(*(_tuples(grid[key]) for key in ("shape", "step", "origin", "cell_angles", "rotation"))),
            volume,
            report.get("contour_out"),
            self._ids[number],
        )
        if self.settings.hide_input:
            volume.display = False
        Path(event["output"]).unlink()
        self.results.append(result)
        self.reports[result] = report
        self.triggers.activate_trigger("result", result)

    def finish(self) -> None:
        """Remove the temporary folder, and tell in the Log what was made and how."""
        self.session.triggers.remove_handler(self._closed)
        self._folder.cleanup()
        logger = self.session.logger
        logger.status("")
        if self.results:
            logger.info(results_table(self.reports), is_html=True)
        if self._failures and self.error is None:
            self.error = UserError("enhance: " + "; ".join(dict.fromkeys(self._failures)))

    def _models_closed(self, _name: str, models: Sequence) -> None:
        if all(volume.deleted or volume in models for volume in self.maps):
            self.terminate()


def _parse(line: str) -> dict | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _tuples(value: list) -> tuple:
    return tuple(_tuples(item) if isinstance(item, list) else item for item in value)
