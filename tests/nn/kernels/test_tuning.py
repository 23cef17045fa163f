import pytest
import torch


def test_what_the_interpreter_tries(interpret):
    interpret("tuning")


@pytest.fixture
def tuning():
    pytest.importorskip("triton")
    from awlab.nn.kernels import tuning

    return tuning


@pytest.mark.parametrize(
    ("dtype", "channels", "tiles"),
    [
        (torch.bfloat16, 512, [(256, 64, 64), (128, 128, 64), (64, 64, 32)]),
        (torch.bfloat16, 64, [(256, 64, 64), (64, 64, 32)]),
        (torch.bfloat16, 8, []),
        (torch.float32, 512, [(64, 64, 32)]),  # their sums take twice the registers
    ],
)
def test_tiles_fit_registers_and_channels(tuning, dtype, channels, tiles):
    sizes = [(256, 64, 64), (128, 128, 64), (64, 64, 32)]
    names = ("BLOCK_P", "BLOCK_R", "BLOCK_S")
    candidates = tuning.configs(
        *(dict(zip(names, size, strict=True)) for size in sizes), warps=(8, 8, 4)
    )
    arguments = {"source": torch.empty(1, dtype=dtype), "pixels": 9}
    tried = tuning.choices(candidates, arguments, RESULT_CHANNELS=channels)
    assert [tuple(config.kwargs.values()) for config in tried] == tiles


@pytest.mark.parametrize("channels", [1, 32, 100])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_some_tile_always_fits(tuning, channels, dtype):
    from awlab.nn.kernels.gradients import gradients_kernel
    from awlab.nn.kernels.product import product_kernel

    arguments = {"x": torch.empty(1, dtype=dtype)}
    assert tuning.choices(product_kernel.configs, arguments, RESULT_CHANNELS=channels)
    assert tuning.choices(gradients_kernel.configs, arguments)


def test_nothing_is_tried_where_the_order_of_additions_has_to_be_the_same(tuning):
    candidates = tuning.configs({"BLOCK_P": 64}, {"BLOCK_P": 32}, warps=(4, 4))
    torch.use_deterministic_algorithms(True)
    try:
        assert tuning.choices(candidates, {"x": torch.empty(0)}) == candidates[:1]
    finally:
        torch.use_deterministic_algorithms(False)
