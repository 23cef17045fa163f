import pytest


def test_is_the_literal_sum_in_the_interpreter(interpret):
    interpret("product")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("gates_result", [True, False])
def test_compiles_for_a_gpu(dtype, gates_result, compile_for_gpu, constants):
    from awlab.nn.kernels.product import product_kernel

    pointers = dict.fromkeys(("source", "weight", "gate", "result"), f"*{dtype}")
    channels = {"SOURCE_CHANNELS": 100, "RESULT_CHANNELS": 72}
    form = {"GATES_RESULT": gates_result, "TRANSPOSED": not gates_result}
    compile_for_gpu(product_kernel, pointers, constants | channels | form)
