"""Several processes: the same result as one, the same decisions, and batches that divide."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from training_runs import SCRIPT, TINY, answer, make, run, words

from cryomap.errors import InputError
from training.feeds import loader
from training.recipe import Optimisation
from training.stream import Batches


def launch(script, processes, *more):
    """Run a script by torchrun on the CPU."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, script, *more], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("kind", ["plain", "adversarial"])
def test_1_2_and_4_processes_give_the_same(tmp_path, kind):
    made = make(tmp_path)
    recipe = TINY.replace("dropout = 0.1", "dropout = 0.0").replace("cubes_per_box = 2", "cubes_per_box = 1")
    if kind == "adversarial":
        recipe = recipe.replace("correlation = 0.1", "adversarial = 1e-3")
    (made / "tiny.toml").write_text(recipe)
    run(made, "one", 3)
    results = [answer(made / "one" / "superem.safetensors")]
    for processes, more in ((2, ["--per-device", "1"]), *([(4, [])] if kind == "plain" else [])):
        out = f"of_{processes}"
        launch(SCRIPT, processes, *words(made, out), "--steps", "3", "--threads", "1", *more)
        results.append(answer(made / out / "superem.safetensors"))
    assert all(float((r - results[0]).abs().max()) < 1e-5 for r in results[1:])
    run(made, "parts", 2)
    assert float((answer(made / "parts" / "superem.safetensors") - results[0]).abs().max()) > 1e-5


RANKS = """
import os
import sys
import time
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from training.loop import State, train_step
from training.recipe import Loss, Optimisation

fabric = Fabric(accelerator="cpu", devices=2, strategy=DDPStrategy())
fabric.launch()
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, padding=1), torch.nn.Dropout(0.5), torch.nn.Conv3d(4, 1, 1))
network, optimiser = fabric.setup(network, torch.optim.SGD(network.parameters(), 0.1))
state, o = State(network, optimiser, None), Optimisation(batch=2, cubes_per_box=1)
cube = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1))  # the same on both


def flat():
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def step(cube):
    return train_step(fabric, state, [(cube, torch.zeros_like(cube), torch.ones_like(cube))], Loss(), o)


before, drawn = flat(), []
first = step(cube * float("nan") if fabric.global_rank == 1 else cube)
assert first != first and torch.equal(flat(), before) and state.step == 1, "a NaN on one got through"
network.module[1].register_forward_hook(lambda m, i, out: drawn.append(out.detach().clone()))
step(cube)
resumed = {**{k: v.clone() for k, v in network.state_dict().items()}}
step(cube)
ranks = fabric.all_gather(flat())
assert torch.equal(ranks[0], ranks[1]) and not torch.equal(flat(), before), "the ranks went apart"
masks = fabric.all_gather((drawn[-1] == 0).float())
assert not torch.equal(masks[0], masks[1]), "dropout drew the same on both"
torch.manual_seed(99)  # as another process begins
network.load_state_dict(resumed)
state.step = 2
step(cube)
assert torch.equal(drawn[-1] == 0, drawn[-2] == 0), "a resumed rank draws otherwise"
print("rank", fabric.global_rank, "agrees", flush=True)
fabric.barrier()
time.sleep(0.5)  # the other may still be in the barrier
os._exit(0)  # the interpreter's own end may abort: gloo's threads are still there
"""


def test_ranks_decide_together_and_draw_their_own(tmp_path):
    scripts = Path(__file__).resolve().parents[2]
    head = f"import sys; sys.path[:0] = [{str(scripts / 'src')!r}, {str(scripts / 'scripts')!r}]"
    (tmp_path / "ranks.py").write_text(head + RANKS)
    assert launch(tmp_path / "ranks.py", 2).count("agrees") == 2


def test_every_item_is_worked_on_once_whatever_the_number_of_processes():
    for items, world, at_once in ((8, 1, 3), (8, 4, 2), (8, 3, 1), (72, 8, 9)):
        parts = [Batches(range(2, 4), items, at_once, rank, world) for rank in range(world)]
        found = sorted(i for part in parts for batch in part for i in batch)
        assert found == list(range(2 * items, 4 * items))
        for part in parts:
            batches = list(part)
            assert max(map(len, batches)) <= at_once and len(batches) == len(part) == 2 * part.per_step


def test_more_processes_than_boxes_are_refused():
    fabric = SimpleNamespace(world_size=4, global_rank=0)
    with pytest.raises(InputError, match="2 boxes can't be shared by 4 processes"):
        loader(fabric, None, Optimisation(batch=2, cubes_per_box=1), range(1), 0, 0)


def test_seeds_of_steps_and_processes_differ():
    draws = set()
    from lightning_fabric import Fabric

    from training.loop import State, train_step
    from training.recipe import Loss

    network = torch.nn.Sequential(torch.nn.Conv3d(1, 1, 1), torch.nn.Dropout(0.5))
    network[1].register_forward_hook(lambda m, i, out: draws.add(tuple((out == 0).flatten().tolist())))
    fabric = Fabric(accelerator="cpu", devices=1)
    network, optimiser = fabric.setup(network, torch.optim.SGD(network.parameters(), 0.0))
    state, cube = State(network, optimiser, None), torch.ones(1, 1, 4, 4, 4)
    for _ in range(3):
        train_step(fabric, state, [(cube, cube, cube)], Loss(), Optimisation(batch=1, cubes_per_box=1))
    assert len(draws) == 3
