from typing import Any

import pytest
import torch
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from awlab.models.faster_rcnn import faster_rcnn
from awlab.models.initialise import initialise
from awlab.models.pyramid import PyramidBackbone, ResNetBody
from awlab.models.resnet import ResNet
from awlab.nn import AWConv2d


def detector(**options) -> Any:
    torch.manual_seed(0)
    body = ResNetBody(ResNet(18, num_classes=2, width=4))
    small = {"min_sizes": (64,), "max_size": 96, "anchor_sizes": (8, 16, 24, 32, 48), "hidden": 16}
    return faster_rcnn(PyramidBackbone(body, out_channels=8), num_classes=3, **small | options)


def scene(boxes=2) -> Any:
    corners = torch.tensor([[4.0, 4.0, 30.0, 28.0], [20.0, 30.0, 44.0, 60.0]])[:boxes]
    return torch.rand(3, 64, 64), {"boxes": corners, "labels": torch.arange(1, boxes + 1)}


def test_it_is_torchvisions_detector():
    with torch.device("meta"):
        theirs = FasterRCNN(resnet_fpn_backbone(backbone_name="resnet50", weights=None), 91)
        body = ResNetBody(ResNet(50, num_classes=2, stride_in="3x3"))
        ours = faster_rcnn(PyramidBackbone(body), num_classes=90)
    names = theirs.state_dict()
    mine = {n: v for n, v in ours.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert {name: value.shape for name, value in mine.items()} == {
        name: value.shape for name, value in names.items()
    }
    for part in ("rpn", "roi_heads"):
        mine, other = vars(getattr(ours, part)), vars(getattr(theirs, part))
        for name in [name for name in other if "nms" in name or "thresh" in name]:
            assert mine[name] == other[name], name
    assert ours.rpn._pre_nms_top_n == {"training": 2000, "testing": 1000}
    assert (ours.transform.min_size, ours.transform.max_size) == ((800,), 1333)


@pytest.mark.parametrize("boxes", [0, 1])
def test_losses_of_few_objects_are_finite_and_reach_every_parameter(boxes):
    network = detector().train()
    images, targets = zip(scene(boxes), scene(0), strict=True)
    targets = [one | {"boxes": one["boxes"].view(-1, 4)} for one in targets]
    losses = network(list(images), targets)
    assert losses.keys() == {
        "loss_classifier",
        "loss_box_reg",
        "loss_objectness",
        "loss_rpn_box_reg",
    }
    torch.stack([*losses.values()]).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_boxes_are_those_of_the_image_however_it_is_resized():
    network = detector().eval()
    (found,) = network([torch.rand(3, 200, 300)])
    assert len(found["boxes"])
    assert found["boxes"].min() >= 0
    assert found["boxes"][:, 2].max() <= 300
    assert found["boxes"][:, 3].max() <= 200


def test_boxes_are_computed_in_float32_under_autocast():
    network = detector().eval()
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = network([scene()[0]])
    assert {found["boxes"].dtype, found["scores"].dtype} == {torch.float32}
    assert not torch.equal(found["boxes"].bfloat16().float(), found["boxes"])
    with torch.autocast("cpu", torch.bfloat16):
        losses = network.train()([scene()[0]], [scene()[1]])
    assert {loss.dtype for loss in losses.values()} == {torch.float32}


def test_it_begins_as_torchvision_lets_it():
    network = detector()
    initialise(network, seed=1)
    head = network.rpn.head
    assert head.get_parameter("conv.0.0.weight").std().item() == pytest.approx(0.01, rel=0.1)
    assert head.get_parameter("cls_logits.weight").std().item() == pytest.approx(0.01, rel=0.5)
    assert not head.get_parameter("bbox_pred.bias").any()


def test_it_learns_a_scene_by_heart():
    torch.manual_seed(0)
    body = ResNetBody(ResNet(18, num_classes=2, width=8))
    pyramid = PyramidBackbone(
        body, out_channels=16, conv=lambda *a, **k: AWConv2d(*a, min_hidden=4, norm="layer", **k)
    )
    network = faster_rcnn(
        pyramid, num_classes=3, min_sizes=(64,), max_size=64, hidden=32,
        anchor_sizes=(16, 24, 32, 40, 48),
    )  # fmt: skip
    image, target = scene()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(40):
        optimizer.zero_grad()
        torch.stack([*network([image, image], [target, target]).values()]).sum().backward()
        optimizer.step()
    (found,) = network.eval()([image])
    best = found["labels"][found["scores"] > 0.5]
    assert sorted(best.unique().tolist()) == [1, 2]


def test_anchors_are_of_one_size_for_each_map():
    with pytest.raises(ValueError, match=r"anchor_sizes \(=\[8, 16\]\) must be 5 numbers"):
        detector(anchor_sizes=(8, 16))
