import pytest
import torch

from awlab.nn.loop_operator import FORMS, gated_conv2d


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_is_registered_as_torch_asks_for(form, channels_last):
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(3, 4, 5, 5).to(memory_format=layout).requires_grad_()
    weight = torch.randn(6, 4, 3, 3, requires_grad=True)
    gate = torch.rand(3, 6, 1, 3, 3, requires_grad=True)
    torch.library.opcheck(gated_conv2d, (x, weight, gate, [1, 1], [1, 1], [1, 1], 1, form))
