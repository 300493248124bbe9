"""Cross-attention maps come from a processor, and are those of Eq. 2 and 8."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
attention = pytest.importorskip("generators.seas.attention")


@pytest.fixture
def unet(base_folder):
    from generators.seas.base import load_base

    return load_base(base_folder).unet


def run(unet, prompts) -> object:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, 16, 16, generator=generator)
    with torch.no_grad():
        return unet(latents, torch.tensor([10, 500]), encoder_hidden_states=prompts).sample


@pytest.fixture
def prompts():
    return torch.randn(2, 24, 32, generator=torch.Generator().manual_seed(2))


def test_a_map_is_the_softmax_over_tokens_averaged_over_heads(unet, prompts) -> None:
    maps = attention.keep_maps(unet, (2,))
    module = unet.down_blocks[1].attentions[0].transformer_blocks[0].attn2
    seen = []
    module.to_q.register_forward_hook(lambda m, given, output: seen.append((given[0], output)))
    with maps.record():
        run(unet, prompts)
        kept = maps.of(2)
    assert len(unet.down_blocks[1].attentions) == 1
    query, key = seen[0][1].numpy(), module.to_k(prompts).detach().numpy()
    heads, width = module.heads, query.shape[2] // module.heads
    expected = np.zeros((2, 64, 24))
    for b in range(2):
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            for place in range(64):
                scores = [query[b, place, part] @ key[b, z, part] / math.sqrt(width) for z in range(24)]
                powers = np.exp(np.array(scores) - max(scores))
                expected[b, place] += powers / powers.sum() / heads
    np.testing.assert_allclose(kept.reshape(2, 64, 24), expected, atol=1e-6)


def test_the_map_of_tokens_is_their_mean(unet, prompts) -> None:
    maps = attention.keep_maps(unet, (2, 3))
    places = torch.tensor([[2, 4, 5, 7]])
    with maps.record():
        run(unet, prompts)
        of_tokens, whole = maps.of_tokens(3, places), maps.of(3)
    assert of_tokens.shape == (1, 4, 4)
    for y, x in np.ndindex(4, 4):
        expected = sum(whole[0, y, x, z] for z in (2, 4, 5, 7)) / 4
        torch.testing.assert_close(of_tokens[0, y, x], expected)


def test_the_network_gives_the_same_with_and_without_maps(unet, prompts) -> None:
    plain = run(unet, prompts)
    maps = attention.keep_maps(unet, (1, 2, 3, 4))
    with maps.record():
        kept = run(unet, prompts)
    torch.testing.assert_close(kept, plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(run(unet, prompts), plain, atol=0, rtol=0)


def test_maps_have_the_sizes_of_table_13_and_fused_attention_stays_elsewhere(unet, prompts) -> None:
    maps = attention.keep_maps(unet, (1, 2, 3, 4))
    with maps.record():
        run(unet, prompts)
        # Latents of 16 x 16: a quarter of Stable Diffusion's 64, 32, 16 and 8.
        assert [maps.of(level).shape[1] for level in (1, 2, 3, 4)] == [16, 8, 4, 2]
    keeping = [
        name for name, each in unet.attn_processors.items() if isinstance(each, attention.KeepingProcessor)
    ]
    assert len(keeping) == 4
    assert all("attn2" in name and name.startswith(("down_blocks", "mid_block")) for name in keeping)
    others = {type(each).__name__ for name, each in unet.attn_processors.items() if name not in keeping}
    assert others == {"AttnProcessor2_0"}


def test_stable_diffusions_maps_are_64_32_16_and_8_wide() -> None:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"), torch.no_grad():
        unet = UNet2DConditionModel(cross_attention_dim=768)
        maps = attention.keep_maps(unet, (1, 2, 3, 4))
        latents, times, prompts = torch.empty(1, 4, 64, 64), torch.empty(1), torch.empty(1, 77, 768)
        with maps.record():
            unet(latents, times, encoder_hidden_states=prompts)
            shapes = [tuple(maps.of(level).shape[1:]) for level in (1, 2, 3, 4)]
    assert shapes == [(64, 64, 77), (32, 32, 77), (16, 16, 77), (8, 8, 77)]


def test_maps_are_forgotten_after_the_pass(unet, prompts) -> None:
    maps = attention.keep_maps(unet, (2,))
    for _ in range(2):
        with maps.record():
            run(unet, prompts)
            assert maps.of(2).shape == (2, 8, 8, 24)
    run(unet, prompts)
    with pytest.raises(RuntimeError):
        maps.of(2)
