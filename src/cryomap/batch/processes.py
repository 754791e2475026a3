"""One process for each GPU, or a single one without: maps are handed out, and a process that dies is replaced."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import cast

from ..job import Options
from ..log_lines import LogLines
from .many import Outcome, Task, enhance_one

PATIENCE = 20  # s; for a batch of tiles to end, since only then a process notices that it is to stop


@dataclass
class _Worker:
    process: SpawnProcess
    gpu: int | None
    task: Task


def gpus(device: str) -> list[int | None]:
    """The GPU of each process: every CUDA device, or None for a single process that needs none told.

    Raises:
        InputError: as `choose_device`.
    """
    if device == "cpu":
        return [None]  # torch, seconds to import, is the process's business
    import torch

    from ..enhancement.device import choose_device

    chosen = choose_device(device)
    if chosen.type != "cuda":
        return [None]
    return list(range(torch.cuda.device_count())) if chosen.index is None else [chosen.index]


def enhance_in_processes(
    tasks: Sequence[Task], options: Options, devices: Sequence[int | None]
) -> Generator[Outcome, None, None]:
    """Outcomes as they come. Closing the iterator, or an exception in it, stops the processes.

    Args:
        tasks: the maps.
        options: how to enhance them.
        devices: the CUDA device of each process, or None.
    """
    waiting = deque(tasks)
    workers: dict[Connection, _Worker] = {}
    try:
        for gpu in devices[: len(waiting)]:
            _start(workers, gpu, options, waiting.popleft())
        while workers:
            # Windows notices a Ctrl-C between two waits only.
            for connection in cast("list[Connection]", wait(list(workers), timeout=1)):
                yield _take(workers, connection)
                gpu = workers[connection].gpu
                if waiting and workers[connection].process.is_alive():
                    _hand(workers, connection, waiting.popleft())
                    continue
                _end(workers, connection)
                if waiting:
                    _start(workers, gpu, options, waiting.popleft())
    finally:
        for worker in workers.values():
            worker.process.terminate()
        for connection in list(workers):
            _end(workers, connection)


def _start(workers: dict[Connection, _Worker], gpu: int | None, options: Options, task: Task) -> None:
    # Spawned, not forked: CUDA doesn't survive a fork.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, gpu, options), daemon=True)
    process.start()
    workers[ours] = _Worker(process, gpu, task)
    theirs.close()  # else its death would go unnoticed
    _hand(workers, ours, task)


def _hand(workers: dict[Connection, _Worker], connection: Connection, task: Task) -> None:
    workers[connection].task = task
    with suppress(OSError):  # it died; `_take` will say so
        connection.send(task)


def _take(workers: dict[Connection, _Worker], connection: Connection) -> Outcome:
    worker = workers[connection]
    try:
        return connection.recv()
    except (EOFError, OSError):
        worker.process.join(PATIENCE)
    code, source = worker.process.exitcode, worker.task.source
    if code == -getattr(signal, "SIGKILL", 9):
        return Outcome(
            worker.task,
            "failed",
            "memory",
            f"{source}: its process was killed, most likely because memory ran out",
        )
    return Outcome(worker.task, "failed", "internal", f"{source}: its process died (exit status {code})")


def _end(workers: dict[Connection, _Worker], connection: Connection) -> None:
    process = workers.pop(connection).process
    connection.close()  # which ends a process that waits for a map
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        process.join()


def _serve(connection: Connection, gpu: int | None, options: Options) -> None:
    """What a process does: enhance what it is handed until there is no more."""
    # Ctrl-C reaches the parent too, which then says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _leave)
    logging.basicConfig(handlers=[LogLines(sys.stderr)], level=logging.WARNING)
    if gpu is not None:
        import torch

        torch.cuda.set_device(gpu)
    with suppress(EOFError, OSError):
        while True:
            connection.send(enhance_one(connection.recv(), options))


def _leave(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)  # an exception, so that half-written files are removed on the way out
