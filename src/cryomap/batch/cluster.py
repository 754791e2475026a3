"""The same on a dask.distributed cluster: a task for each map, written by the worker that ran it.

The workers must be able to import this package and torch, and see the maps and the folder of results under the same
paths; the scheduler, which unpacks what it hands on, need not: tasks and outcomes travel as bytes. A worker that dies
has its maps done by the others. A worker process does one map at a time, so that for several GPUs each needs a worker
of its own (CUDA_VISIBLE_DEVICES, as dask-cuda sets it).
"""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from ..errors import InputError
from ..job import Options
from .many import Outcome, Task, enhance_one

if TYPE_CHECKING:
    from distributed import Client, Future

SECONDS_TO_CONNECT = 15

log = logging.getLogger(__name__)
_one_at_a_time = Lock()


def enhance_on_cluster(
    tasks: Sequence[Task], options: Options, address: str
) -> Generator[Outcome, None, None]:
    """Outcomes as they come. Closing the iterator takes back what no worker has begun.

    Args:
        tasks: the maps.
        options: how to enhance them; its files as absolute paths.
        address: of the scheduler, or a scheduler file.

    Raises:
        InputError: no dask.distributed here, no scheduler there, or workers that can't do it.
    """
    client = _connect(address)
    with client:
        _require_able(client, tasks[0].result.parent)
        run = _runner()
        futures = {client.submit(run, pickle.dumps((task, options)), pure=False): task for task in tasks}
        from distributed import as_completed

        try:
            for future in as_completed(list(futures)):
                yield _outcome(future, futures[future])
        finally:
            client.cancel([future for future in futures if not future.done()])


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--dask needs dask.distributed here: pip install distributed") from None
    where = _address_in(address) if Path(address).is_file() else address
    try:
        return Client(address=where, timeout=SECONDS_TO_CONNECT)
    except Exception as error:  # whatever an address that is none makes of it
        reason = " ".join(str(error).split())[:200]
        told = f" ({reason})" if reason else ""
        raise InputError(f"--dask {address}: no dask scheduler answers there{told}") from None


def _address_in(path: str) -> str:
    """The address in a scheduler file."""
    try:
        address = json.loads(Path(path).read_text(encoding="utf-8"))["address"]
        if not isinstance(address, str):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"--dask {path}: no scheduler file; give the one that dask scheduler --scheduler-file writes"
        ) from None
    return address


def _require_able(client: Client, folder: Path) -> None:
    """Refuse a cluster whose workers can't import the engine or don't see the folder."""
    wanted = str(folder)

    def problem() -> str:
        import importlib
        import os

        try:
            for module in ("torch", "cryomap.batch.many"):
                importlib.import_module(module)
        except ImportError as error:
            return f"{error}; start it with a Python that has torch, and this package's folder in PYTHONPATH"
        return "" if os.path.isdir(wanted) else f"the folder {wanted} does not exist there"

    found = client.run(problem)
    if not found:
        log.warning("no dask workers yet; waiting for some")
    for worker, reason in found.items():
        if reason:
            raise InputError(f"dask worker {worker}: {reason}")


def _runner() -> Callable[[bytes], bytes]:
    """What a worker is to do with a pickled task. Made here, it is sent as code and not by its name."""
    module = __name__

    def run(packed: bytes) -> bytes:
        import importlib

        return importlib.import_module(module).enhance_packed(packed)

    return run


def enhance_packed(packed: bytes) -> bytes:
    """`enhance_one` on a worker, whose threads would share a network that serves one at a time."""
    task, options = pickle.loads(packed)
    with _one_at_a_time:
        return pickle.dumps(enhance_one(task, options))


def _outcome(future: Future, task: Task) -> Outcome:
    from distributed import KilledWorker

    try:
        return pickle.loads(future.result())
    except KilledWorker:
        reason = "each worker that took it died, most likely because memory ran out"
        return Outcome(task, "failed", "memory", f"{task.source}: {reason}")
    except CancelledError:
        return Outcome(task, "failed", "internal", f"{task.source}: the cluster was lost")
    except Exception as error:
        return Outcome(task, "failed", "internal", f"{task.source}: {error!r}")
