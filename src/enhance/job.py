"""Runs the engine on maps in its own Python process: progress, cancel, clear failure."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chimerax.core.errors import UserError
from chimerax.core.models import REMOVE_MODELS
from chimerax.core.session import Session
from chimerax.map import Volume

from ..plots.data import halves_plot
from ..runtime.background import BackgroundTask
from ..runtime.child_process import ChildProcess, clean_environment
from ..runtime.engine_python import ENGINE_FOLDER, find_python
from ..scene import volumes
from ..trust.html import halves_section, trust_section
from ..trust.model import TrustModel
from .job_files import Answer, EnhanceSettings, JobFiles
from .open_trust import Halves, open_trust
from .table import duration, results_table


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
        results: the new maps, in the order of `maps` but for those that failed; of half maps that of their mean.
        reports: what the engine says of each result, by Volume.
        trust: the group of models that belongs to a result, by Volume, where there is one.
        halves: what the engine says of enhanced half maps.
    """

    def __init__(self, session: Session, maps: Sequence[Volume], settings: EnhanceSettings) -> None:
        """Write the maps to a temporary folder, for `begin` to start the worker on.

        Raises:
            UserError: no Python with torch, a model number that is taken, a mask that misses a map, half
                maps that aren't two maps on one grid.
        """
        if settings.half_maps and len(maps) != 2:
            raise UserError(
                f"enhance: halfMaps takes the two half maps of one reconstruction, not {len(maps)}"
            )
        self._python = find_python(session)
        self._ids = volumes.result_ids(session, settings.model_id, 1 if settings.half_maps else len(maps))
        super().__init__(session, "enhance " + ", ".join(str(v) for v in maps))
        self.triggers.add_trigger("result")
        self.maps = list(maps)
        self.settings = settings
        self.results: list[Volume] = []
        self.reports: dict[Volume, dict] = {}
        self.trust: dict[Volume, TrustModel] = {}
        self.halves: dict | None = None
        self._answers: dict[Volume, Answer] = {}
        self._input_of: dict[Volume, Volume] = {}
        self._half_answers: list[Answer] = []
        self._agreement: Halves | None = None
        self._failures: list[str] = []
        self._device = ""
        self._process: ChildProcess | None = None
        self._told = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="chimerax_enhance_", ignore_cleanup_errors=True)
        try:
            self._files = JobFiles(self._folder.name, self.maps, settings)
        except BaseException:
            self._folder.cleanup()
            session.tasks.remove(self)
            raise
        self._closed = session.triggers.add_handler(REMOVE_MODELS, self._models_closed)

    def work(self) -> Iterator[dict]:
        """Run the worker and yield its events, in the task's thread."""
        environment = clean_environment(
            PYTHONPATH=str(ENGINE_FOLDER),
            # What Apple's GPU can't do is then done by the CPU instead of failing.
            PYTORCH_ENABLE_MPS_FALLBACK="1",
            **self._python.environment,
        )
        command = [self._python.path, "-m", "cryomap.worker", str(self._files.path("job.json"))]
        with open(self._files.path("errors.txt"), "w", encoding="utf-8") as errors:
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
        errors = self._files.path("errors.txt").read_text(encoding="utf-8", errors="replace").strip()
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
            self._take_result(event)
        elif kind == "halves":
            self._take_halves(event)
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
        names = self._files.names
        share = event["done"] / max(1, event["total"])
        several = f" ({number + 1} of {len(names)})" if len(names) > 1 else ""
        tiles = f"{event['done']} of {event['total']} tiles"
        text = f"Enhancing {names[number]}{several}{self._device}: {share:.0%}, {tiles}"
        if left:
            text += f", {duration(left)} left"
        now = time.monotonic()
        if now - self._told > 0.5 or share == 1:
            self._told = now
            self.session.logger.status(text, blank_after=0)
        progress = Progress(names[number], (number + share) / len(names), left, text)
        self.triggers.activate_trigger("progress", progress)

    def _take_result(self, event: dict) -> None:
        """Open the result; what the halves gave alone is kept until they are compared."""
        number, answer = event["map"], self._files.read(event)
        if self.settings.half_maps and number < 2:
            self._half_answers.append(answer)
            return
        index = 0 if self.settings.half_maps else number
        volume, report = self.maps[index], answer.report
        if volume.deleted:
            return
        result = volumes.open_result(
            self.session,
            f"{self._files.names[number]} {report['method']}",
            answer.values,
            answer.grid,
            volume,
            report.get("contour_out"),
            self._ids[index],
        )
        if self.settings.hide_input:
            for shown in self.maps if self.settings.half_maps else [volume]:
                shown.display = False
        self.results.append(result)
        self.reports[result], self._answers[result] = report, answer
        self._input_of[result] = volume
        self.triggers.activate_trigger("result", result)

    def _take_halves(self, event: dict) -> None:
        self.halves = event["report"]
        values, grid = self._files.read_agreement(event)
        self._agreement = Halves(self._files.names[:2], self._half_answers, values, grid, self.halves)

    def finish(self) -> None:
        """Remove the temporary folder, and tell in the Log what was made and how."""
        self.session.triggers.remove_handler(self._closed)
        self._folder.cleanup()
        logger = self.session.logger
        logger.status("")
        results = [result for result in self.results if not result.deleted]
        if results:
            logger.info(results_table({result: self.reports[result] for result in results}), is_html=True)
        for result in results:
            self._tell_trust(result)
        if self._failures and self.error is None:
            self.error = UserError("enhance: " + "; ".join(dict.fromkeys(self._failures)))

    def _tell_trust(self, result: Volume) -> None:
        """Open and tell how far a result can be trusted."""
        answer = self._answers.pop(result)
        group = open_trust(self.session, result, answer, self.settings, self._agreement)
        if group is not None:
            self.trust[result] = group
        logger = self.session.logger
        if text := trust_section(result, self._input_of[result], answer.report, group):
            logger.info(text, is_html=True)
        if group is not None and self.halves is not None:
            logger.info(halves_section(group, self.halves), is_html=True)
            if self.session.ui.is_gui:
                from ..plots.tool import show_plots

                show_plots(self.session, halves_plot(result.name, self.halves))

    def _models_closed(self, _name: str, models: Sequence) -> None:
        if all(volume.deleted or volume in models for volume in self.maps):
            self.terminate()


def _parse(line: str) -> dict | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
