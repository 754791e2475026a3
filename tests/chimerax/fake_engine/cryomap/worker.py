"""A worker that gives each map back as it is, or fails in the way the map's name says.

Names that hold "crash", "memory", "bad", "garbage" or "slow" do that; any other works. One that holds "doubtful" it
calls noise, and its resolution out of range. Of one with "lossy" in its name it says that its densest voxel, with the
neighbours, was lost, and that its first voxel was invented.
"""

import json
import os
import shutil
import sys
import time


def tell(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)


def main(path):
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    failed = False
    tell("Device", device="cpu", precision="float32")
    maps = list(job["maps"])
    if job["options"]["half_maps"]:
        maps.append({**maps[0], "name": "mean", "values": mean_of(job)})
    for number, item in enumerate(maps):
        failed = not work(number, item, job) or failed
    if job["options"]["half_maps"] and not failed:
        compare_halves(job)
    tell("Done")
    return 2 if failed else 0


def mean_of(job):
    import numpy as np

    first, second = (np.load(item["values"]) for item in job["maps"])
    path = os.path.join(job["folder"], "mean.npy")
    np.save(path, (first + second) / 2)
    return path


def work(number, item, job):
    import numpy as np

    name, options = item["name"], job["options"]
    if "crash" in name:
        os.kill(os.getpid(), 9)
    if "garbage" in name:
        print("this is not JSON")
        raise RuntimeError("garbage was asked for")
    if "memory" in name:
        tell("Failure", map=number, message=f"{name}: out of memory on cpu", kind="memory")
        return False
    if "bad" in name:
        tell("Failure", map=number, message=f"{name}: the map is constant", kind="input")
        return False
    if "doubtful" in name:
        for kind in ("noise", "range"):
            message = f"{name}: something about its {kind}"
            tell("Warned", map=number, warning={"kind": kind, "message": message, "value": 0.5})
    steps = 600 if "slow" in name else 3
    for done in range(steps + 1):
        tell("Progress", map=number, done=done, total=steps, seconds_left=(steps - done) * 0.1)
        if "slow" in name:
            time.sleep(0.1)
    files = {"output": os.path.join(job["folder"], f"{number}_output.npy")}
    shutil.copy(item["values"], files["output"])
    values = np.load(item["values"], mmap_mode="r")
    if options["samples"] > 1:
        files["deviation"] = save(job, number, "deviation", np.full(values.shape, 0.25, np.float32))
    trust = judge(number, item, values, job, files)
    asked = {
        "worker": os.getpid(),
        "masked": None if item["mask"] is None else int(np.load(item["mask"]).sum()),
        "sites": None if item["sites"] is None else np.load(item["sites"]).tolist(),
        "options": options,
    }
    report = {
        "method": options["method"] or "superem",
        "weights": json.dumps(asked),  # where tests find it
        "device": "cpu",
        "precision": "float32",
        "seconds": 0.5,
        "network_cpu_seconds": 0.4,
        "tiles_run": 2,
        "tiles_total": 3,
        "input_grid": item["grid"],
        "output_grid": item["grid"],
        "contour_in": item["level"],
        "contour_out": item["level"],
        "volume": 100.0,
        "trust": trust,
    }
    tell("Result", map=number, report=report, **files)
    return True


def save(job, number, key, values):
    import numpy as np

    path = os.path.join(job["folder"], f"{number}_{key}.npy")
    np.save(path, values)
    return path


def judge(number, item, values, job, files):
    """What the engine would say, with its files: support and confidence fall from 1 to 0 along x."""
    import numpy as np

    ramp = np.linspace(1, 0, values.shape[2], dtype=np.float32)
    for name, wanted in (("support", job["support"]), ("confidence", job["options"]["confidence"])):
        if wanted:
            files[name] = save(job, number, name, np.broadcast_to(ramp, values.shape).copy())
    lost, invented, voxels = [], [], []
    if "lossy" in item["name"]:
        peak = np.array(np.unravel_index(np.argmax(values), values.shape))
        around = peak + np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0]])
        voxels = [[1, *place] for place in around] + [[-1, 0, 0, 0]]
        lost = [region(item, peak, 3, 7.5, 0.8)]
        invented = [region(item, [0, 0, 0], 1, 5.5, 0.95)]
    files["regions"] = save(job, number, "regions", np.array(voxels, np.int32).reshape(-1, 4))
    return {
        "support": 0.9,
        "resolution": 4.0,
        "noise": 0.01,
        "threshold_sigma": 5.0,
        "lost": lost,
        "invented": invented,
        "restored": len(lost) if job["options"]["keep_lost"] else 0,
        "seconds": 0.1,
    }


def region(item, voxel, count, sigma, share):
    import numpy as np

    grid = item["grid"]
    turn, step = np.array(grid["rotation"]), np.array(grid["step"])
    center = (turn @ (np.array(voxel[::-1]) * step) + grid["origin"]).tolist()
    volume = count * float(np.prod(step))
    facts = {"center": center, "volume": volume, "peak_sigma": sigma, "share": share}
    return {**facts, "nearest": "", "kind": "", "distance": None}


def compare_halves(job):
    """The halves agree by 0.75 everywhere, but for the first voxel."""
    import numpy as np

    grid = job["maps"][0]["grid"]
    output = save(job, 0, "agreement", np.full(grid["shape"], 0.75, np.float32))
    curve = {"d": [10.0, 5.0, 3.0], "fsc": [1.0, 0.6, 0.1]}
    report = {
        "d_before": 4.0,
        "d_after": None,
        "fsc": {"before": curve, "after": {**curve, "fsc": [1.0, 0.9, 0.8]}},
        "disagreements": [{"center": grid["origin"], "volume": 40.0}],
        "warning": "must not be quoted",
    }
    tell("HalvesResult", output=output, grid=grid, report=report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
