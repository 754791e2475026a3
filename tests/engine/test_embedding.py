"""Structural embeddings: the paper's equations by hand, and ESM-IF1's own classes with random weights."""

from __future__ import annotations

import argparse
import gzip
import json

import gemmi
import numpy as np
import pytest
import torch
from training_runs import TINY, make, words

import embed_structures
import train as script
from cryomap.atoms import read_model
from cryomap.errors import InputError
from cryomap.networks.checkpoint import load_weights
from cryomap.networks.cryosamu import CryoSAMU
from pairs.embedding import (
    backbones,
    fixed_length,
    importance,
    packed_backbones,
    pad,
    pool_chains,
    structural_embedding,
)
from pairs.encoder_files import read_checkpoint
from simulation.packs import pack, read_folder, unpack
from training.widen import widen


def helix_pdb(chain: str, length: int, origin: float = 0.0, name: str = "ALA") -> list[str]:
    """ATOM lines of an ideal alpha helix's backbone (radii, rises and phases of N, CA, C)."""
    lines = []
    for i in range(length):
        for atom, radius, phase, height in (
            ("N", 1.55, -28, -0.87),
            ("CA", 2.28, 0, 0),
            ("C", 1.68, 26, 1.15),
        ):
            angle = np.radians(100 * i + phase)
            x, y, z = radius * np.cos(angle) + origin, radius * np.sin(angle), 1.5 * i + height
            lines.append(
                f"ATOM  {len(lines) + 1:5d}  {atom:<3s} {name} {chain}{i + 1:4d}    "
                f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           {atom[0]}"
            )
    return lines


def test_weights_of_two_vectors_by_hand():
    # S = [[1, 1], [1, 2]]; softmax down column 0: (1/2, 1/2); column 1: (1, e) / (1 + e).
    weights = importance(np.array([[1.0, 0.0], [1.0, 1.0]]))
    first = (0.5 + 1 / (1 + np.e)) / 2
    assert weights == pytest.approx([first, 1 - first], abs=1e-12)


def test_weights_follow_the_equations_written_as_loops():
    vectors = np.random.default_rng(1).normal(size=(5, 7))
    n = len(vectors)
    S = [[sum(a * b for a, b in zip(u, v, strict=True)) for v in vectors] for u in vectors]
    W = [[np.exp(S[i][j]) / sum(np.exp(S[k][j]) for k in range(n)) for j in range(n)] for i in range(n)]
    assert importance(vectors) == pytest.approx([sum(row) / n for row in W], rel=1e-9)
    assert importance(vectors).std() > 0.01


def test_weights_of_large_similarities_stay_finite():
    assert importance(np.array([[100.0, 0], [0, 90.0]])) == pytest.approx([0.5, 0.5])


def test_pooling_two_chains_of_unequal_length_by_hand():
    # E_chain = ((2 + 4) / 2, (6 + 0) / 2) = (3, 3): equal weights; so E_pooled = ((2 + 6) / 2, (4 + 0) / 2).
    chains = [np.array([[2.0], [4.0]]), np.array([[6.0]])]
    assert pad(chains).tolist() == [[[2.0], [4.0]], [[6.0], [0.0]]]
    assert pool_chains(pad(chains)).tolist() == [[4.0], [2.0]]
    # E_chain = (1, 0): S = [[1, 0], [0, 0]], w_0 = (e / (1 + e) + 1/2) / 2.
    w = (np.e / (1 + np.e) + 0.5) / 2
    pooled = pool_chains(np.array([[[1.0], [1.0]], [[2.0], [-2.0]]]))
    assert pooled[:, 0] == pytest.approx([w + 2 * (1 - w), w - 2 * (1 - w)])


def test_more_residues_than_wanted_leaves_the_most_important_first():
    # S = [[0, 0, 0], [0, 4, 2], [0, 2, 1]]: rows 0, 1, 2 of the softmaxed columns sum to
    # 1/3 + .017 + .090, 1/3 + .867 + .665 and 1/3 + .117 + .245.
    pooled = np.array([[0.0], [2.0], [1.0]], np.float32)
    column1, column2 = 1 + np.exp(4) + np.exp(2), 1 + np.exp(2) + np.exp(1)
    sums = [1 / column1 + 1 / column2, np.exp(4) / column1 + np.exp(2) / column2, 0.0]
    sums[2] = 2 - sums[0] - sums[1]
    assert importance(pooled) == pytest.approx([(1 / 3 + x) / 3 for x in sums])
    assert fixed_length(pooled, 2).tolist() == [[1.0], [0.5]]


def test_fewer_residues_are_repeated_in_order_of_importance():
    pooled = np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 0.5]], np.float32)
    order = np.argsort(-importance(pooled))
    result = fixed_length(pooled, 8)
    assert result.shape == (8, 2) and result.dtype == np.float32
    assert np.array_equal(result, (pooled / 2)[[*order, *order, *order[:2]]])


def test_default_length_is_that_of_the_paper():
    chains = [
        np.random.default_rng(i).normal(size=(n, 512)).astype(np.float32) for i, n in enumerate((900, 30))
    ]
    result = structural_embedding(chains)
    assert result.shape == (800, 512) and result.min() >= 0 and result.max() <= 1


def test_only_complete_backbones_of_standard_residues_count(tmp_path):
    lines = helix_pdb("A", 4) + helix_pdb("B", 2, 20.0, "MSE") + helix_pdb("C", 3, 40.0)
    lines = [line for line in lines if line[12:27] != " C   ALA A   3 "]
    lines += [
        "HETATM 9999 CA    CA A 900      50.000  50.000  50.000  1.00 20.00          CA",
    ]
    (tmp_path / "m.pdb").write_text("\n".join(lines) + "\nEND\n")
    chains = backbones(read_model(tmp_path / "m.pdb"))
    assert {name: c.shape for name, c in chains.items()} == {"A": (3, 3, 3), "C": (3, 3, 3)}
    structure = gemmi.read_structure(str(tmp_path / "m.pdb"))
    fourth = structure[0]["A"][3]
    assert chains["A"][2] == pytest.approx(np.array([fourth[n][0].pos.tolist() for n in ("N", "CA", "C")]))


def test_a_model_without_protein_is_named(tmp_path):
    line = "HETATM    1 ZN    ZN A   1       0.000   0.000   0.000  1.00 20.00          ZN"
    (tmp_path / "zinc.pdb").write_text(line + "\nEND\n")
    with pytest.raises(InputError, match=r"zinc\.pdb: no protein residue"):
        backbones(read_model(tmp_path / "zinc.pdb"))


def test_structures_are_found_in_a_folder_and_in_an_index(tmp_path):
    for name in ("1ABC.pdb.gz", "2XYZ.cif", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert sorted(embed_structures.structures(tmp_path)) == ["1ABC", "2XYZ"]
    index = tmp_path / "index.tsv"
    index.write_text("entry\tsplit\tmodel_file\nEMD-1\ttrain\ta.cif.gz\nEMD-2\t\tb.cif.gz\n")
    assert list(embed_structures.structures(index)) == ["EMD-1"]
    index.write_text("map_file\tmodel_file\tresolution_A\nemd_1.map.gz\t1ABC.pdb.gz\t4\nemd_2.map\t\t5\n")
    assert embed_structures.structures(index) == {
        "emd_1": tmp_path / "1ABC.pdb.gz"
    }  # as the real feed names it
    index.write_text("entry\tsplit\nEMD-1\ttrain\n")
    with pytest.raises(InputError, match="model_file"):
        embed_structures.structures(index)


@pytest.fixture(scope="module")
def tiny_checkpoint(tmp_path_factory):
    """A checkpoint of the layout of ESM-IF1's, of fair-esm's own class, with few layers and random weights."""
    pytest.importorskip("esm", reason="fair-esm is not installed (requirements-embed.txt)")
    for needed in ("torch_geometric", "torch_scatter", "biotite"):
        pytest.importorskip(needed, reason=f"{needed} is not installed (requirements-embed.txt)")
    import esm
    from esm.inverse_folding.gvp_transformer import GVPTransformerModel

    settings = argparse.Namespace(arch="vt_medium_with_invariant_gvp", dropout=0.1, attention_dropout=0.1)
    for part in ("encoder", "decoder"):
        for key, value in (("embed_dim", 512), ("ffn_embed_dim", 64), ("layers", 1), ("attention_heads", 4)):
            setattr(settings, f"{part}_{key}", value)
    for key, value in {
        "node_hidden_dim_scalar": 16,
        "node_hidden_dim_vector": 8,
        "edge_hidden_dim_scalar": 8,
        "edge_hidden_dim_vector": 1,
        "num_encoder_layers": 1,
        "dropout": 0.1,
        "top_k_neighbors": 5,
    }.items():
        setattr(settings, f"gvp_{key}", value)
    torch.manual_seed(0)
    model = GVPTransformerModel(settings, esm.Alphabet.from_architecture(settings.arch))
    path = tmp_path_factory.mktemp("esm") / "tiny.pt"
    torch.save({"args": settings, "model": model.state_dict()}, path)
    return path, model.eval()


def test_the_encoder_gives_what_fair_esm_gives(tiny_checkpoint, tmp_path):
    import esm
    import torch

    from pairs.esm_if1 import Encoder

    path, model = tiny_checkpoint
    (tmp_path / "m.pdb").write_text("\n".join(helix_pdb("A", 12)) + "\nEND\n")
    chain = backbones(read_model(tmp_path / "m.pdb"))["A"]
    got = Encoder(path)(chain)
    coordinates, _ = esm.inverse_folding.util.load_coords(str(tmp_path / "m.pdb"), "A")
    alphabet = esm.Alphabet.from_architecture("vt_medium_with_invariant_gvp")
    with torch.no_grad():
        expected = esm.inverse_folding.util.get_encoder_output(model, alphabet, coordinates.astype("float32"))
    assert got.shape == (12, 512)
    assert np.abs(got - expected.numpy()).max() < 1e-5


def test_the_embedding_does_not_change_when_the_structure_is_turned(tiny_checkpoint):
    from pairs.esm_if1 import Encoder

    # A random walk: in an ideal helix neighbours are equally far, and rounding picks other ones. About the
    # origin only: ESM-IF1 takes its two padding residues to lie there, so the ends feel a shift.
    chain = np.random.default_rng(3).normal(size=(20, 3, 3)).cumsum(axis=0).astype(np.float32) * 2
    encoder, turn = Encoder(tiny_checkpoint[0]), np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    assert np.abs(encoder(chain @ turn.T) - encoder(chain)).max() < 1e-3
    assert np.abs(encoder(chain[::-1]) - encoder(chain)).max() > 0.1


def test_structures_are_embedded_once(tiny_checkpoint, tmp_path, capsys):
    path, _ = tiny_checkpoint
    models, out = tmp_path / "models", tmp_path / "out"
    models.mkdir()
    text = "\n".join(helix_pdb("A", 12) + helix_pdb("B", 9, 30.0)) + "\nEND\n"
    (models / "1ABC.pdb.gz").write_bytes(gzip.compress(text.encode()))
    (models / "bad.pdb").write_text("nothing\n")
    arguments = [str(models), "--out", str(out), "--weights", str(path)]
    assert embed_structures.main(arguments) == 1
    assert "bad.pdb" in capsys.readouterr().err
    first = np.load(out / "1ABC.npy")
    assert first.shape == (800, 512) and np.isfinite(first).all() and first.std() > 0.01
    assert sorted(p.name for p in out.iterdir()) == ["1ABC.json", "1ABC.npy"]
    stamp = (out / "1ABC.npy").stat().st_mtime_ns
    embed_structures.main(arguments)
    assert (out / "1ABC.npy").stat().st_mtime_ns == stamp
    (models / "1ABC.pdb.gz").write_bytes(gzip.compress(text.replace("ALA", "GLY").encode()))
    embed_structures.main(arguments)
    assert (out / "1ABC.npy").stat().st_mtime_ns > stamp
    assert set(json.loads((out / "1ABC.json").read_text())) == {"by", "model_sha256", "weights_sha256"}


def test_a_checkpoint_may_hold_what_it_is_known_to_hold_and_nothing_else(tmp_path):
    """ESM-IF1's settings are an argparse.Namespace; unpickling anything else could run code."""
    path = tmp_path / "w.pt"
    torch.save({"args": argparse.Namespace(layers=2), "model": {"a": torch.ones(2)}}, path)
    read = {"of": "an ESM-IF1", "keys": ("args", "model"), "remedy": "get it"}
    assert read_checkpoint(path, **read, safe=[argparse.Namespace])["args"].layers == 2
    for file, says in ((path, "not an ESM-IF1 checkpoint"), (tmp_path / "none.pt", "no such file; get it")):
        with pytest.raises(InputError, match=says):
            read_checkpoint(file, **read)
    with pytest.raises(InputError, match="no settings and weights"):
        read_checkpoint(path, **{**read, "keys": ("num_edges",)}, safe=[argparse.Namespace])


def test_wrong_weights_are_named(tiny_checkpoint, tmp_path):
    import torch

    from pairs.esm_if1 import Encoder

    with pytest.raises(InputError, match=r"none\.pt: no such file"):
        Encoder(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("nothing")
    with pytest.raises(InputError, match=r"text\.pt: not an ESM-IF1 checkpoint"):
        Encoder(tmp_path / "text.pt")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt: not an ESM-IF1 checkpoint"):
        Encoder(tmp_path / "other.pt")


def helices(folder):
    """Two helices of two chains each, with a nucleotide that has no backbone of a protein."""
    folder.mkdir()
    for n in (1, 2):
        lines = [*helix_pdb("A", 12 + n), *helix_pdb("B", 9, origin=14.0)]
        lines.append("ATOM   9999  P    DA C   1      30.000   2.000   1.000  1.00 20.00           P")
        (folder / f"m{n}.pdb").write_text("\n".join([*lines, "END", ""]))
    return folder


def test_a_pack_gives_the_backbones_of_its_files(tmp_path):
    """Against the files themselves, whose atoms have names."""
    structures, _ = read_folder(helices(tmp_path / "models"))
    pack(structures, tmp_path / "made.npz")
    for structure in unpack(tmp_path / "made.npz"):
        model = read_model(tmp_path / "models" / f"{structure.pdb_id}.pdb")
        expected, found = (list(c.values()) for c in (backbones(model), packed_backbones(structure)))
        assert [len(c) for c in found] == [len(c) for c in expected]
        for mine, chain in zip(found, expected, strict=True):
            assert np.abs(mine + model.positions.mean(axis=0) - chain).max() < 0.02


def test_packed_structures_are_embedded_and_trained_with(tmp_path, monkeypatch, capsys):
    """With an encoder that gives random numbers: the cross-attention learns, and is told in the card."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(
        "pairs.esm_if1.Encoder",
        lambda weights, device: lambda chain: rng.random((len(chain), 512), np.float32),
    )
    made = make(tmp_path)
    pack(read_folder(helices(tmp_path / "models"))[0], tmp_path / "made.npz")
    out = tmp_path / "embeddings"
    asked = [str(tmp_path / "made.npz"), "--out", str(out), "--weights", str(tmp_path / "none.pt")]
    assert embed_structures.main(asked) == 0
    assert np.load(out / "m1.npy").shape == (800, 512)
    samu = TINY.replace('"superem"', '"cryosamu"')
    samu = samu.replace('channels = 4, blocks = 2, norm = "none",', "base = 8, groups = 4,")
    (made / "samu.toml").write_text(samu)
    line = words(made, "with", recipe="samu.toml", method="cryosamu")
    assert script.main([*line, "--embeddings", str(out), "--steps", "2"]) == 0
    network, card = load_weights("cryosamu", made / "with" / "cryosamu.safetensors")
    assert card.training["embeddings"]["by"] == "esm-if1"
    assert card.architecture["arguments"]["context"] == 512 and not network.cross.is_untrained()
    for folder, says in (
        (tmp_path / "models", "no embeddings"),
        (mixed(out, tmp_path), "a.npy has 128 channels"),
    ):
        assert script.main([*line, "--embeddings", str(folder), "--steps", "2"]) == 2
        assert says in capsys.readouterr().err
    (made / "samu.toml").write_text(samu.replace("base = 8", "base = 8, context = 0"))
    assert script.main([*line, "--embeddings", str(out), "--steps", "2"]) == 2
    assert "context = 0, but the embeddings have 512 channels" in capsys.readouterr().err


def mixed(embeddings, folder):
    """A folder with embeddings of two sources."""
    (folder / "mixed").mkdir()
    for path in embeddings.glob("*.npy"):
        (folder / "mixed" / path.name).write_bytes(path.read_bytes())
    np.save(folder / "mixed" / "a.npy", np.zeros((800, 128), np.float32))
    return folder / "mixed"


def test_cross_attention_comes_and_goes_when_a_run_starts_from_weights(tmp_path):
    """It comes saying nothing, so that the first step's loss is that of the network without it."""
    bare = CryoSAMU(base=8, groups=4, context=0)
    aware = CryoSAMU(base=8, groups=4, context=16)
    widen(aware, bare)
    x, embedding = torch.rand(1, 1, 16, 16, 16), torch.randn(1, 20, 16)
    for network in (bare, aware):
        network.eval()
    with torch.no_grad():
        assert torch.equal(aware(x, embedding), bare(x))
    aware(x, embedding).square().sum().backward()
    assert aware.cross.attention.out_proj.weight.grad.abs().max() > 0
    other = CryoSAMU(base=8, groups=4, context=0).eval()
    widen(other, aware)
    with torch.no_grad():
        assert torch.equal(other(x), aware(x))
