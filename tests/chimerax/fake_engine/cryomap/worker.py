"""A worker that gives each map back as it is, or fails in the way the map's name says.

Names that hold "crash", "memory", "bad", "garbage" or "slow" do that; any other works. Of one with "lossy" in its
name it says that its densest voxel, with the neighbours, was lost, and that its first voxel was invented.
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
    tell("device", device="cpu", precision="float32")
    for number, item in enumerate(job["maps"]):
        failed = not work(number, item, job) or failed
    if job.get("agreement") and not failed:
        compare_halves(job)
    tell("done")
    return 2 if failed else 0


def work(number, item, job):
    import numpy as np

    name = item["name"]
    if "crash" in name:
        os.kill(os.getpid(), 9)
    if "garbage" in name:
        print("this is not JSON")
        raise RuntimeError("garbage was asked for")
    if "memory" in name:
        tell("error", map=number, message=f"{name}: out of memory on cpu", kind="memory")
        return False
    if "bad" in name:
        tell("error", map=number, message=f"{name}: the map is constant", kind="input")
        return False
    steps = 600 if "slow" in name else 3
    for done in range(steps + 1):
        tell("progress", map=number, done=done, total=steps, seconds_left=(steps - done) * 0.1)
        if "slow" in name:
            time.sleep(0.1)
    shutil.copy(item["values"], item["output"])
    values = np.load(item["values"], mmap_mode="r")
    masked = None if item["mask"] is None else int(np.load(item["mask"]).sum())
    grid = {key: item[key] for key in ("step", "origin", "cell_angles", "rotation")}
    report = {
        "method": job["method"] or "superem",
        "weights": None,
        "device": "cpu",
        "precision": "float32",
        "seconds": 0.5,
        "tiles_run": 2,
        "tiles_total": 3,
        "contour_in": item["level"],
        "contour_out": item["level"],
        "worker": os.getpid(),
        "masked": masked,
        "sites": None if item["sites"] is None else np.load(item["sites"]).tolist(),
        "trust": judge(item, values, job),
        "asked": {key: job[key] for key in ("method", "weights", "device", "grid_spacing")}
        | {"resolution": item["resolution"], "keep_lost": job["keep_lost"], "samples": job["samples"]},
    }
    if job["samples"] > 1:
        np.save(item["deviation"], np.full(values.shape, 0.25, np.float32))
    grid["shape"] = list(values.shape)
    tell("result", map=number, output=item["output"], grid=grid, report=report)
    return True


def judge(item, values, job):
    """What the engine would say, with its files: support falls from 1 to 0 along x."""
    import numpy as np

    if item.get("support"):
        ramp = np.linspace(1, 0, values.shape[2], dtype=np.float32)
        np.save(item["support"], np.broadcast_to(ramp, values.shape).copy())
    lost, invented, voxels = [], [], []
    if "lossy" in item["name"]:
        peak = np.array(np.unravel_index(np.argmax(values), values.shape))
        around = peak + np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0]])
        voxels = [[1, *place] for place in around] + [[-1, 0, 0, 0]]
        lost = [region(item, peak, 3, 7.5, 0.8)]
        invented = [region(item, [0, 0, 0], 1, 5.5, 0.95)]
    np.save(item["regions"], np.array(voxels, np.int32).reshape(-1, 4))
    return {
        "support": 0.9,
        "resolution": 4.0,
        "noise": 0.01,
        "threshold_sigma": 5.0,
        "lost": lost,
        "invented": invented,
        "restored": len(lost) if job["keep_lost"] else 0,
    }


def region(item, voxel, count, sigma, share):
    import numpy as np

    turn, step = np.array(item["rotation"]), np.array(item["step"])
    center = (turn @ (np.array(voxel[::-1]) * step) + item["origin"]).tolist()
    volume = count * float(np.prod(step))
    facts = {"center": center, "volume": volume, "peak_sigma": sigma, "share": share}
    return {**facts, "nearest": "", "kind": "", "distance": None}


def compare_halves(job):
    """The halves agree by 0.75 everywhere, but for the first voxel."""
    import numpy as np

    first, second = (np.load(item["values"]) for item in job["maps"][:2])
    assert np.allclose(np.load(job["maps"][2]["values"]), (first + second) / 2)
    np.save(job["agreement"], np.full(first.shape, 0.75, np.float32))
    item = job["maps"][0]
    grid = {key: item[key] for key in ("step", "origin", "cell_angles", "rotation")}
    curve = {"d": [10.0, 5.0, 3.0], "fsc": [1.0, 0.6, 0.1]}
    report = {
        "d_before": 4.0,
        "d_after": None,
        "fsc": {"before": curve, "after": {**curve, "fsc": [1.0, 0.9, 0.8]}},
        "disagreements": [{"center": item["origin"], "volume": 40.0}],
        "warning": "must not be quoted",
    }
    tell("halves", output=job["agreement"], grid={**grid, "shape": list(first.shape)}, report=report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
