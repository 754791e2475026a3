"""Runs the engine on maps in its own Python process: progress, cancel, clear failure."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from chimerax.core.errors import UserError
from chimerax.core.models import REMOVE_MODELS
from chimerax.core.session import Session
from chimerax.map import Volume

from ..cryomap.density import DensityMap
from ..cryomap.enhancement.report import Report
from ..cryomap.job import Device, Done, Event, Failure, HalvesResult, Log, Result, Warned, read_event
from ..cryomap.job import Progress as TilesDone
from ..cryomap.trust.halves import HalvesComparison
from ..plots.data import halves_plot
from ..runtime.background import BackgroundTask
from ..runtime.child_process import ChildProcess, clean_environment
from ..runtime.engine_python import ENGINE_FOLDER, find_python
from ..runtime.machine import require_device
from ..runtime.turns import Turns
from ..scene import volumes
from ..scene.engine_text import with_signs
from ..trust.html import halves_section, trust_section, warning_text
from ..trust.model import TrustModel
from .job_files import Answer, Wanted, read_answer, require_halves, require_level, take, write_files
from .open_trust import Halves, open_trust
from .results import result_name
from .table import duration, results_table
from .undo import UndoEnhance

_turns: Turns[EnhanceJob] = Turns()  # a worker fills the processor, or the graphics card, alone


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


@dataclass
class Opened:
    """A result that was opened.

    Attributes:
        given: the input map; of half maps the first.
        volume: the new map.
        answer: what the engine made; None once all of it is opened.
        report: what the engine says of it, with the residues of the session.
        group: the models that tell how far it can be trusted, where there is anything to tell.
    """

    given: Volume
    volume: Volume
    answer: Answer | None
    report: Report
    group: TrustModel | None = None


@dataclass(frozen=True)
class _Waiting:
    """Another job is in hand."""

    ahead: EnhanceJob


class EnhanceJob(BackgroundTask):
    """One worker process that enhances one map after another, when it is its turn.

    Its triggers: "progress" with a `Progress` or a text, "warned" with an `InputWarning`, "result" with the new
    Volume, "done" with the job.

    Attributes:
        maps: the input maps.
        opened: what became of them, in their order but for those that failed.
        halves: how far enhanced half maps agree.
    """

    def __init__(self, session: Session, maps: Sequence[Volume], wanted: Wanted) -> None:
        """Write the maps to a temporary folder, for `begin` to start the worker on.

        Raises:
            UserError: no Python with torch, no such device, a level beyond a map's values, a model number that is
                taken, a mask that misses a map, half maps that aren't two maps on one grid.
        """
        require_device(wanted.options.device)
        self._python = find_python(session)
        self.maps, self.wanted = list(maps), wanted
        self._names = [volume.name for volume in maps]
        if wanted.options.level is not None:
            require_level(maps, wanted.options.level)
        count = len(maps)
        if wanted.options.half_maps:
            require_halves(maps)
            self._names.append(" + ".join(self._names))
            count = 1
        self._ids = volumes.result_ids(session, wanted.model_id, count)
        method = f" by {wanted.options.method}" if wanted.options.method else ""
        named = [f"#{volume.id_string} {volumes.short_name(volume.name)}" for volume in maps]
        super().__init__(session, "enhance " + ", ".join(named) + method)
        self._label = f"enhance {', '.join('#' + v.id_string for v in maps)}: "
        self._ahead: EnhanceJob | None = None
        self._hidden: list[Volume] = []
        self.triggers.add_trigger("result")
        self.triggers.add_trigger("warned")
        self.opened: list[Opened] = []
        self.halves: HalvesComparison | None = None
        self._half_answers: list[Answer] = []
        self._failures: list[str] = []
        self._device = ""
        self._process: ChildProcess | None = None
        self._told = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="chimerax_enhance_", ignore_cleanup_errors=True)
        try:
            self._job, self._residues = write_files(self._folder.name, self.maps, wanted)
        except BaseException:
            self._folder.cleanup()
            session.tasks.remove(self)
            raise
        self._closed = session.triggers.add_handler(REMOVE_MODELS, self._models_closed)

    @property
    def results(self) -> list[Volume]:
        """The new maps."""
        return [opened.volume for opened in self.opened]

    def __str__(self) -> str:
        state = self.state.value if self._ahead is None else f"waits for task {self._ahead.id}"
        return f"{self.title} (task {self.id}, {state})"

    def begin(self, block: bool) -> None:
        """Start when those that began before are over; see `BackgroundTask.begin`."""
        _turns.join(self)
        super().begin(block)

    def work(self) -> Iterator[Event | _Waiting]:
        """Run the worker and yield its events, in the task's thread."""
        try:
            for ahead in _turns.wait(self, lambda: self.stopped):
                self._ahead = ahead
                yield _Waiting(ahead)
            self._ahead = None
            if not self.stopped:
                yield from self._run_worker()
        finally:
            _turns.leave(self)

    def _run_worker(self) -> Iterator[Event]:
        environment = clean_environment(
            PYTHONPATH=str(ENGINE_FOLDER),
            # What Apple's GPU can't do is then done by the CPU instead of failing.
            PYTORCH_ENABLE_MPS_FALLBACK="1",
            **self._python.environment,
        )
        command = [self._python.path, "-m", "cryomap.worker", str(self._job)]
        with open(self._job.with_name("errors.txt"), "w", encoding="utf-8") as errors:
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
                event = read_event(line)
                if event is not None:
                    finished = finished or isinstance(event, Done)
                    yield event
        if not finished and not self.stopped:
            raise UserError(self._why_it_died(process.exit_code))

    def _why_it_died(self, code: int) -> str:
        errors = self._job.with_name("errors.txt").read_text(encoding="utf-8", errors="replace").strip()
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
        """End the worker, or no longer wait for a turn."""
        _turns.wake()
        if self._process is not None:
            self._process.stop()

    def handle(self, event: Event | _Waiting) -> None:
        """Act on one line of the worker."""
        match event:
            case _Waiting():
                text = f"{self.title} waits for task {event.ahead.id}, {event.ahead.title}"
                self.session.logger.info(text)
                self.triggers.activate_trigger("progress", text)
            case TilesDone():
                self._show_progress(event)
            case Result():
                self._take_result(event)
            case HalvesResult():
                agreement = DensityMap(take(event.output), event.grid)
                self.halves = replace(event.report, agreement=agreement)
            case Failure():
                self._failures.append(with_signs(event.message))
                if event.kind == "internal":
                    self.session.logger.info(self._label + with_signs(event.message))
            case Device():
                self._device = f" on {event.device.upper()}, {event.precision}"
            case Warned():
                self.session.logger.info(warning_text(event.warning), is_html=True)
                self.triggers.activate_trigger("warned", event.warning)
            case Log():
                text = self._label + with_signs(volumes.with_short_names(event.message, self._names))
                self.session.logger.status(text, log=True, blank_after=0)
                # Of a small map, which is one tile, this is all there is.
                self.triggers.activate_trigger("progress", text)

    def _show_progress(self, event: TilesDone) -> None:
        number, left, names = event.map, event.seconds_left, self._names
        share = event.done / max(1, event.total)
        several = f" ({number + 1} of {len(names)})" if len(names) > 1 else ""
        tiles = f"{event.done} of {event.total} tiles"
        text = f"Enhancing {volumes.short_name(names[number])}{several}{self._device}: {share:.0%}, {tiles}"
        if left:
            text += f", {duration(left)} left"
        now = time.monotonic()
        if now - self._told > 0.5 or share == 1:
            self._told = now
            self.session.logger.status(text, blank_after=0)
        progress = Progress(names[number], (number + share) / len(names), left, text)
        self.triggers.activate_trigger("progress", progress)

    def _take_result(self, event: Result) -> None:
        """Open the result; what the halves gave alone is kept until they are compared."""
        halves = self.wanted.options.half_maps
        number, answer = event.map, read_answer(event, self._residues[0 if halves else event.map])
        if halves and number < 2:
            self._half_answers.append(answer)
            return
        index = 0 if halves else number
        volume, report = self.maps[index], answer.report
        if volume.deleted:
            return
        result = volumes.open_result(
            self.session,
            result_name(self._names[number], report.method),
            answer.values,
            report.output_grid,
            volume,
            report.contour_out,
            self._ids[index],
        )
        if self.wanted.hide_input:
            inputs = self.maps if halves else [volume]
            self._hidden += [shown for shown in inputs if shown.display]
            for shown in inputs:
                shown.display = False
        self.opened.append(Opened(volume, result, answer, report))
        self.triggers.activate_trigger("result", result)

    def finish(self) -> None:
        """Remove the temporary folder, and tell in the Log what was made and how."""
        self.session.triggers.remove_handler(self._closed)
        self._folder.cleanup()
        logger = self.session.logger
        there = [opened for opened in self.opened if not opened.volume.deleted]
        logger.status(f"{self.title}: done" if there else "")
        if there:
            logger.info(results_table([(one.volume, one.report) for one in there]), is_html=True)
        for opened in there:
            self._tell_trust(opened)
        if there:  # at last, since coloring can be undone alone
            self.session.undo.register(UndoEnhance(self.session, self.title, self.results, self._hidden))
        if self._failures and self.error is None:
            self.error = UserError("enhance: " + "; ".join(dict.fromkeys(self._failures)))

    def _tell_trust(self, opened: Opened) -> None:
        """Open and tell how far a result can be trusted."""
        answer, opened.answer = opened.answer, None
        result, logger = opened.volume, self.session.logger
        halves = self.halves and Halves(self._names[:2], self._half_answers, self.halves)
        opened.group = group = open_trust(self.session, result, answer, self.wanted, halves)
        if group is not None:
            opened.report = replace(opened.report, trust=group.trust)
        if text := trust_section(result, opened.given, opened.report, group):
            logger.info(text, is_html=True)
        if group is not None and group.halves is not None:
            self.halves = group.halves
            logger.info(halves_section(group), is_html=True)
            if self.session.ui.is_gui:
                from ..plots.tool import show_plots

                show_plots(self.session, halves_plot(result, self.halves))

    def _models_closed(self, _name: str, models: Sequence) -> None:
        if all(volume.deleted or volume in models for volume in self.maps):
            self.terminate()
