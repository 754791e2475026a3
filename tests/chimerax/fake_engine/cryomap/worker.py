"""A worker that gives each map back as it is, or fails in the way the map's name says.

Names that hold "crash", "memory", "bad", "garbage" or "slow" do that; any other works.
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
        "asked": {key: job[key] for key in ("method", "weights", "device", "grid_spacing")}
        | {"resolution": item["resolution"]},
    }
    grid["shape"] = list(values.shape)
    tell("result", map=number, output=item["output"], grid=grid, report=report)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
