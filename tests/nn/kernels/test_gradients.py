import pytest


def test_is_the_literal_sum_in_the_interpreter(interpret):
    interpret("gradients")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("gates_output", [True, False])
def test_compiles_for_a_gpu(dtype, gates_output, compile_for_gpu, constants):
    from awlab.nn.kernels.gradients import gradients_kernel

    pointers = dict.fromkeys(("grad", "x", "weight", "gate"), f"*{dtype}")
    pointers |= {"grad_weight": "*fp32", "grad_gate": "*fp32"}
    channels = {"OUT_CHANNELS": 72, "IN_CHANNELS": 100, "GATES_OUTPUT": gates_output}
    tile = {"BLOCK_O": 64, "BLOCK_I": 64}
    compile_for_gpu(gradients_kernel, pointers, constants | channels | tile)
