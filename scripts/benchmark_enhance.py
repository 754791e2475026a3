"""How long `enhance` takes and how much memory it needs, against the volume:

    python scripts/benchmark_enhance.py --map emd_5168.map.gz --out runs/benchmark
    python scripts/benchmark_enhance.py --out runs/benchmark --edges 60,120 --threads 1,2 --source before=../old/src
    python scripts/benchmark_enhance.py --out runs/benchmark --device cuda --also released=G_model

Boxes of several edges are cut out of the map or filled with copies of it, and each is enhanced by a process of its
own. Only ratios within one run mean anything: sources, methods and threads take turns, and the machine's own speed
stands beside. Without a map the demo's made-up one is used. Writes benchmark.md, benchmark.json and benchmark.png.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np

from cryomap.density import DensityMap, read_map, resample, write_map
from cryomap.errors import InputError
from cryomap.replacing import replacing
from evaluation.options import named
from sample.experiment import experiment, sample_grid
from sample.model import sample_model

SOURCE = Path(__file__).resolve().parents[1] / "src"
EDGES = (30, 64, 100, 150, 200, 300, 400, 512)  # A
MACHINE = """
import json, os, time, torch
where = torch.device(os.environ["DEVICE"])
def speed(dtype, n=4096 if where.type != "cpu" else 1536):
    a = torch.rand(n, n, device=where).to(dtype)
    for _ in range(2): a @ a
    times = []
    for _ in range(5):
        wait(); begun = time.perf_counter(); a @ a; wait(); times.append(time.perf_counter() - begun)
    return round(2 * n**3 / min(times) / 1e9, 1)
def wait():
    if where.type == "cuda": torch.cuda.synchronize()
has = getattr(torch.cpu, "get_capabilities", dict)()
sets = [torch.backends.cpu.get_cpu_capability()] + [n for n in ("avx512_bf16", "amx_bf16") if has.get(n)]
cpu = {"processor": has.get("cpu_name", "CPU"), "instructions": " ".join(sets).upper()}
facts = {"processor": torch.cuda.get_device_name(where)} if where.type == "cuda" else cpu
print(json.dumps({**facts, "threads": torch.get_num_threads(), "torch": torch.__version__,
    "float32 GFLOP/s": speed(torch.float32), "bfloat16 GFLOP/s": speed(torch.bfloat16)}))
"""
# In a small process of its own: until it becomes another program, a child has its parent's memory, which counts.
METER = """
import json, os, subprocess, sys, time
begun = time.monotonic()
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
with open(sys.argv[1], "w") as out:
    json.dump([status, time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], out)
"""


@dataclass(frozen=True)
class Timing:
    """One run of `enhance`.

    Attributes:
        edge: of the box, in A.
        source: whose code.
        weights: method, or the name of other weights.
        threads: of the CPU; 0: as many as torch takes.
        seconds: of the whole process.
        start: what passed before the work: importing, loading weights and map; and writing the result.
        trust: comparing the result with the input.
        work: enhancing it: the network, and resampling, normalising, sharpening, scaling.
        cpu_seconds: processor time of the whole process, all threads together.
        network_cpu_seconds: of the network alone.
        peak_gb: largest resident memory.
        tiles: run.
        precision: the network's numbers.
    """

    edge: int
    source: str
    weights: str
    threads: int
    seconds: float
    start: float
    trust: float
    work: float
    cpu_seconds: float
    network_cpu_seconds: float
    peak_gb: float
    tiles: int
    precision: str


def box_of(density: DensityMap, edge: int) -> DensityMap:
    """A cube of that edge (A) at 1 A, cut from the middle of the map, or filled with copies of it."""
    whole = resample(density, density.grid.cubic(1.0), order=1)
    values = whole.values
    for axis, size in enumerate(values.shape):
        start = max(0, (size - edge) // 2)
        values = np.take(values, range(start, start + edge), axis, mode="wrap")
    return DensityMap(np.ascontiguousarray(values), type(whole.grid)(values.shape), f"{edge} A")


def _sample() -> DensityMap:
    """The demo's map, at 4 A."""
    model = sample_model()
    return experiment(model, sample_grid(model), 4.0)


def machine(device: str, threads: int) -> dict:
    """The processor's name, its instructions that matter to networks, and how fast it multiplies matrices.

    Raises:
        InputError: torch can't use the device.
    """
    run = subprocess.run(
        [sys.executable, "-c", MACHINE],
        env=_environment(SOURCE, threads) | {"DEVICE": device},
        capture_output=True,
        text=True,
    )
    if run.returncode:
        raise InputError(f"--device {device}: {run.stderr.strip().splitlines()[-1]}")
    return json.loads(run.stdout)


def timed(
    path: Path, source: tuple[str, Path], weights: tuple[str, list[str]], threads: int, device: str
) -> dict:
    """Enhance a map in a process of its own and report what it took.

    Raises:
        InputError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cryomap", "enhance", str(path), "-o", f"{folder}/out.mrc", "--json"]
        command += ["--device", device, *weights[1]]
        run = subprocess.run(
            [sys.executable, "-S", "-c", METER, f"{folder}/usage", *command],
            env=_environment(source[1], threads),
            capture_output=True,
            text=True,
        )
        status, seconds, cpu_seconds, peak = json.loads(Path(folder, "usage").read_text())
        if status:
            lines = run.stderr.strip().splitlines() or ["no message"]
            raise InputError(f"{source[0]}, {weights[0]}: {lines[-1]}")
        report = json.loads(run.stdout)
    trust = (report["trust"] or {}).get("seconds", 0.0)
    return {
        "seconds": round(seconds, 2),
        "start": round(seconds - report["seconds"] - trust, 2),
        "trust": round(trust, 2),
        "work": round(report["seconds"], 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "network_cpu_seconds": report["network_cpu_seconds"],
        "peak_gb": round(peak * (1 if sys.platform == "darwin" else 1024) / 1e9, 2),
        "tiles": report["tiles_run"],
        "precision": report["precision"],
    }


def _environment(source: Path, threads: int) -> dict[str, str]:
    chosen = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    return os.environ | {"PYTHONPATH": str(source.resolve())} | chosen


def report(machines: list[dict], timings: list[Timing]) -> str:
    """The benchmark as Markdown."""
    lines = ["# What enhancing takes", ""]
    for facts in machines:
        lines.append("- " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    lines += [
        "",
        "Seconds of one process each; compare within this table alone. `rest` is the share of the processor time, the "
        "start included, that isn't the network's.",
        "",
        "| A | code | weights | threads | s | start s | trust s | CPU s | network CPU s | rest | peak GB | tiles "
        "| precision |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for t in timings:
        rest = 1 - t.network_cpu_seconds / t.cpu_seconds
        cells = [t.edge, t.source, t.weights, t.threads or "all", t.seconds, t.start, t.trust, t.cpu_seconds]
        cells += [t.network_cpu_seconds, f"{100 * rest:.0f} %", t.peak_gb, t.tiles, t.precision]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def plot(timings: list[Timing], path: Path) -> None:
    """Seconds and memory against the volume, a line for each code, weights and number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 4))
    lines = dict.fromkeys((t.source, t.weights, t.threads) for t in timings)
    for line in lines:
        mine = [t for t in timings if (t.source, t.weights, t.threads) == line]
        volumes = [t.edge**3 for t in mine]
        label = f"{line[1]}, {line[0]}, {line[2] or 'all'} threads"
        axes[0].loglog(volumes, [t.seconds for t in mine], "o-", label=label)
        axes[1].semilogx(volumes, [t.peak_gb for t in mine], "o-")
    for axis, title in zip(axes, ("seconds", "peak memory (GB)"), strict=True):
        axis.set_xlabel("volume of the box (A$^3$)")
        axis.set_title(title)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    with replacing(path, make_folders=True) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--map", type=Path, help="real density to repeat (default: the demo's)")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark"), help="default: %(default)s")
    parser.add_argument(
        "--edges", type=_numbers, default=EDGES, help="of the boxes, in A (default: 30 to 512)"
    )
    parser.add_argument(
        "--threads", type=_numbers, default=(0,), help="of the CPU, say 1,2 (default: torch's choice)"
    )
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--methods", default="superem,cryosamu", help="default: %(default)s; or none")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=WEIGHTS",
        help="other weights, say the released SuperEM's",
    )
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=SRC",
        help="another checkout's src/, to compare with",
    )
    return parser.parse_args(arguments)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 2 where something can't be run."""
    options = parse(arguments)
    weights = [(m, ["--method", m]) for m in options.methods.split(",") if m not in ("", "none")]
    try:
        sources = [("this", SOURCE), *map(named, options.source)]
        weights += [(n, ["--weights", str(path.resolve())]) for n, path in map(named, options.also)]
        density = read_map(options.map) if options.map else _sample()
        machines = [machine(options.device, threads) for threads in options.threads]
        timings: list[Timing] = []
        with tempfile.TemporaryDirectory() as folder:
            for edge in options.edges:
                path = Path(folder) / "box.mrc"
                write_map(box_of(density, edge), path)
                for kind in weights:
                    for threads in options.threads:
                        for source in sources:
                            found = timed(path, source, kind, threads, options.device)
                            timings.append(Timing(edge, source[0], kind[0], threads, **found))
                            print(json.dumps(asdict(timings[-1])), flush=True)
                            _write(options.out, machines, timings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    plot(timings, options.out / "benchmark.png")
    print(options.out / "benchmark.md")
    return 0


def _write(folder: Path, machines: list[dict], timings: list[Timing]) -> None:
    with replacing(folder / "benchmark.json", make_folders=True) as temporary:
        content = {"machines": machines, "timings": [asdict(t) for t in timings]}
        Path(temporary).write_text(json.dumps(content, indent=1))
    with replacing(folder / "benchmark.md") as temporary:
        Path(temporary).write_text(report(machines, timings))


if __name__ == "__main__":
    sys.exit(main())
