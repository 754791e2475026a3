"""Both networks against what the papers give: layers, parameter counts, shapes, and the attention's equations."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from cryomap.networks import attention
from cryomap.networks.attention import CrossAttention, LinearSelfAttention
from cryomap.networks.cryosamu import CryoSAMU
from cryomap.networks.norm import normalisation
from cryomap.networks.space_to_depth import to_depth, to_space
from cryomap.networks.superem import Discriminator, Generator, ReleasedGenerator


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def convolutions(network):
    return [m for m in network.modules() if isinstance(m, nn.Conv3d)]


def test_generator_has_the_papers_layers():
    network = Generator()
    assert len(network.blocks) == 15
    kernels = [
        (c.in_channels, c.out_channels, c.kernel_size, c.stride, c.dilation) for c in convolutions(network)
    ]
    assert kernels[0] == (1, 32, (3, 3, 3), (1, 1, 1), (1, 1, 1))
    assert kernels[1:-1] == [(32, 32, (3, 3, 3), (1, 1, 1), (1, 1, 1))] * 31
    assert kernels[-1][:2] == (32, 1)
    for block in network.blocks:
        kinds = [type(m).__name__ for m in block.children()]
        assert kinds == ["Conv3d", "InstanceNorm3d", "PReLU", "Dropout", "Conv3d", "InstanceNorm3d", "PReLU"]
        assert block.dropout.p == 0.25
    # 32 convolutions' weights and biases, and one slope for each of 33 PReLUs.
    by_hand = (27 + 1) * 32 + 31 * (27 * 32 + 1) * 32 + (27 * 32 + 1) + 33
    assert parameters(network) == by_hand == 859_874


def test_generator_gives_0_to_1_in_the_input_shape():
    x = torch.randn(2, 1, 9, 10, 11)
    with torch.no_grad():
        y = Generator(channels=4, blocks=2)(x)
    assert y.shape == x.shape and float(y.min()) >= 0 and float(y.max()) <= 1


def test_released_generator_counts():
    network = ReleasedGenerator()
    assert parameters(network) == 884_258 and len(network.state_dict()) == 249
    assert [b.conv1.dilation[0] for b in network.model] == [1] * 3 + [2] * 3 + [4] * 3 + [8] * 3 + [16] * 3


def test_discriminator_has_ten_convolutions_doubling_every_two():
    network = Discriminator()
    assert [c.out_channels for c in convolutions(network)] == [32, 32, 64, 64, 128, 128, 256, 256, 512, 512]
    norms = [m for m in network.modules() if isinstance(m, nn.GroupNorm)]
    assert all(n.num_channels // n.num_groups == 16 for n in norms) and len(norms) == 10
    assert network(torch.rand(3, 1, 25, 25, 25)).shape == (3, 2)


def test_unet_has_the_papers_layers():
    network = CryoSAMU()
    self_attention = [m for m in network.modules() if isinstance(m, LinearSelfAttention)]
    # After each of the first three levels, down and up, and in the bottleneck.
    assert len(self_attention) == 7 and all(m.heads == 4 for m in self_attention)
    assert len([m for m in network.modules() if isinstance(m, CrossAttention)]) == 1
    assert [len(stage) for stage in network.encoder] == [2, 2, 2, 2]
    assert len(network.down) == 3
    dropouts = [m.p for m in network.modules() if isinstance(m, nn.Dropout)]
    assert set(dropouts) == {0.2}
    assert parameters(network) == 11_953_761  # the paper gives no count; about 12 million by its widths


def test_unet_runs_with_and_without_an_embedding():
    network = CryoSAMU(base=8, groups=4).eval()
    x, embedding = torch.rand(2, 1, 16, 16, 16), torch.randn(2, 20, 512)
    with torch.no_grad():
        bypassed, informed = network(x), network(x, embedding)
        other = network(x, embedding + 1)
    assert bypassed.shape == informed.shape == x.shape
    assert not torch.allclose(bypassed, informed) and not torch.allclose(informed, other)


def test_a_unet_without_context_is_the_bypassed_one_without_its_cross_attention():
    aware, bare = CryoSAMU(base=8, groups=4).eval(), CryoSAMU(base=8, groups=4, context=0).eval()
    state = aware.state_dict()
    bare.load_state_dict({name: state[name] for name in bare.state_dict()})
    # Layer norm; queries of 32 from 32, keys and values of 32 from 512, a projection, four biases.
    assert parameters(aware) - parameters(bare) == 2 * 32 + 2 * 32 * 32 + 2 * 512 * 32 + 4 * 32
    x = torch.rand(2, 1, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(bare(x), aware(x))
    with pytest.raises(ValueError, match="no cross-attention"):
        bare(x, torch.randn(2, 20, 512))


@pytest.mark.parametrize("context", [512, 128, 0])
def test_every_parameter_of_the_unet_learns(context):
    network = CryoSAMU(base=8, groups=4, context=context)
    embedding = (torch.randn(1, 5, context),) if context else ()
    network(torch.rand(1, 1, 16, 16, 16), *embedding).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def attention_by_hand(module, tokens):
    """Katharopoulos et al. 2020, equation 4 with the sums written out: similarities of every pair of tokens."""

    def heads(x):
        return x.view(*x.shape[:2], module.heads, -1).transpose(1, 2)

    q, k = (functional.elu(heads(layer(tokens))) + 1 for layer in (module.query, module.key))
    similarity = q @ k.transpose(2, 3)
    out = similarity @ heads(module.value(tokens)) / similarity.sum(dim=3, keepdim=True)
    return module.project(out.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("chunk", [7, 64, 10_000])
def test_linear_attention_equals_the_quadratic_sum_whatever_the_chunk(chunk, monkeypatch):
    monkeypatch.setattr(attention, "CHUNK", chunk)
    module = LinearSelfAttention(8, heads=2, width=4, groups=2)
    x = torch.randn(2, 8, 4, 5, 6)
    expected = x + attention.tokens_to_voxels(
        attention_by_hand(module, attention.voxels_to_tokens(module.norm(x))), x
    )
    assert torch.allclose(module(x), expected, atol=1e-5)


def test_pooled_attention_sees_constant_cubes_as_one():
    module = LinearSelfAttention(4, heads=1, width=4, groups=0, pool=2)
    single = LinearSelfAttention(4, heads=1, width=4, groups=0)
    single.load_state_dict(module.state_dict())
    small = torch.randn(1, 4, 3, 3, 3)
    large = functional.interpolate(small, scale_factor=2, mode="nearest")
    expected = functional.interpolate(single(small), scale_factor=2, mode="nearest")
    assert torch.allclose(module(large), expected, atol=1e-5)


def test_a_network_without_norm_sees_only_its_receptive_field():
    network = Generator(channels=4, blocks=2, norm="none").eval()
    for block in network.blocks:
        nn.init.normal_(block.conv2.weight)
    x = torch.rand(1, 1, 30, 9, 9)
    changed = x.clone()
    changed[0, 0, 0] += 1
    with torch.no_grad():
        difference = (network(x) - network(changed))[0, 0].abs().amax(dim=(1, 2))
    reach = 1 + 2 * 2 + 1 + 1
    assert difference[reach] > 0 and (difference[reach + 1 :] == 0).all()


def test_folding_puts_the_voxels_about_a_point_in_its_channels_and_back():
    x = torch.randn(2, 3, 4, 6, 8)
    folded = to_depth(x, 2)
    assert folded.shape == (2, 24, 2, 3, 4)
    assert torch.equal(folded[1, 8:16, 1, 2, 3].view(2, 2, 2), x[1, 1, 2:4, 4:6, 6:8])
    assert torch.equal(to_space(folded, 2), x)


@pytest.mark.parametrize(
    "network",
    [
        Generator(channels=4, blocks=2, norm="none", space_to_depth=2),
        CryoSAMU(base=8, groups=0, context=4, space_to_depth=2),
    ],
)
def test_folded_networks_keep_the_shape(network):
    x = torch.randn(1, 1, 16, 32, 16)
    with torch.no_grad():
        assert network.eval()(x).shape == x.shape


def test_blocks_without_norm_begin_as_the_identity():
    blocks = Generator(channels=4, blocks=3, norm="none").blocks
    x = torch.randn(1, 4, 5, 5, 5)
    assert torch.equal(blocks(x), x)


def test_a_voxels_own_norm_sees_no_other_voxel():
    x = torch.randn(2, 6, 3, 4, 5)
    given = normalisation(6, 0)(x)
    one = x[1, :, 2, 3, 4]
    expected = (one - one.mean()) / one.std(correction=0)
    torch.testing.assert_close(given[1, :, 2, 3, 4], expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(normalisation(6, None)(x), x)
    assert normalisation(6, 3).num_groups == 3
