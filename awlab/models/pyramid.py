"""ResNet with a feature pyramid (Lin et al., "Feature Pyramid Networks", CVPR 2017)."""

# Shape suffixes: N batch, C channels, H W image.

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from awlab.models.convert import convert
from awlab.models.initialise import reset
from awlab.models.resnet import ResNet
from awlab.models.stage import AttentionFactory, ConvFactory, is_attention
from awlab.nn.location import inside

LEVELS = 5
"""Maps of the pyramid: one of each stage, and the last one subsampled."""
TRAINED_FROM_THE_END = ("layer4", "layer3", "layer2", "layer1", "conv1")


class ResNetBody(nn.Module):
    """The stages of a ResNet without its classifier, with torchvision's names of parameters.

    Args:
        resnet: Gives its layers away.
    """

    def __init__(self, resnet: ResNet) -> None:
        super().__init__()
        self.conv1 = resnet.conv1
        self.bn1 = resnet.bn1
        self.relu = resnet.relu
        self.maxpool = resnet.maxpool
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4
        self.fed = resnet.fc.in_features

    @property
    def channels(self) -> list[int]:
        """Channels of the maps of the four stages."""
        return [self.fed // 2**halvings for halvings in (3, 2, 1, 0)]

    def forward(self, x_NCHW: Tensor) -> dict[str, Tensor]:
        """Return the maps of the four stages, from the finest on."""
        x_NCHW = self.maxpool(self.relu(self.bn1(self.conv1(x_NCHW))))
        maps: dict[str, Tensor] = OrderedDict()
        for name, layer in enumerate((self.layer1, self.layer2, self.layer3, self.layer4)):
            maps[str(name)] = x_NCHW = layer(x_NCHW)
        return maps


class PyramidBackbone(nn.Module):
    """A ResNet and a feature pyramid on top of it, as torchvision's detectors want a backbone.

    Its maps are float32 also under autocast: torchvision computes anchors and boxes in the type of
    the maps, and bfloat16 has steps of 8 pixels at the far end of a large image.

    Args:
        body: Yields the maps of four stages.
        out_channels: Of the maps of the pyramid.
        conv: Makes all lateral and output convolutions of the pyramid.
        attention: Makes a module right before each of them.

    Raises:
        ValueError: From a factory, with the layer's name.
    """

    def __init__(
        self,
        body: ResNetBody,
        *,
        out_channels: int = 256,
        conv: ConvFactory = nn.Conv2d,
        attention: AttentionFactory = nn.Identity,
    ) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(body.channels, out_channels, LastLevelMaxPool())
        self.out_channels = out_channels
        with inside("fpn"):
            if conv is not nn.Conv2d:
                convert(self.fpn, conv)
            if attention is not nn.Identity:
                _put_before_each(attention, self.fpn)

    def forward(self, x_NCHW: Tensor) -> dict[str, Tensor]:
        """Return the maps of the pyramid, from the finest on."""
        maps = self.fpn(self.body(x_NCHW))
        return OrderedDict((name, map_NCHW.float()) for name, map_NCHW in maps.items())


def freeze_batch_norms(body: nn.Module) -> None:
    """Keep statistics and affine parameters of the norms of a backbone as they are.

    Those of attention modules and of the attention branches of convolutions go on learning: no
    pretrained weights have them.
    """
    for name, norm in list(body.named_modules()):
        if isinstance(norm, nn.BatchNorm2d) and not is_attention(name):
            frozen = FrozenBatchNorm2d(norm.num_features, norm.eps)
            frozen.load_state_dict(norm.state_dict())
            body.set_submodule(name, frozen)


def freeze_all_but(body: nn.Module, trainable_layers: int) -> None:
    """Train the last layers of a ResNet only, and all attention: no pretrained weights have it.

    Args:
        body: Has the names of a ResNet.
        trainable_layers: Of conv1 and the four stages, from the last on; 5 is all.
    """
    trained = TRAINED_FROM_THE_END[:trainable_layers]
    if trainable_layers == len(TRAINED_FROM_THE_END):
        return
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(name.startswith(trained) or is_attention(name))


@reset.register
def _(module: FeaturePyramidNetwork) -> None:
    """As torchvision does, whatever convolutions stand there."""
    for block in (*module.inner_blocks, *module.layer_blocks):
        conv = block.get_submodule("0")
        assert isinstance(conv, nn.Conv2d)
        nn.init.kaiming_uniform_(conv.weight, a=1)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)


def _put_before_each(attention: AttentionFactory, fpn: FeaturePyramidNetwork) -> None:
    """Insert modules, under a name that leaves those of the convolutions as they are."""
    for of_stages, blocks in (
        ("inner_blocks", fpn.inner_blocks),
        ("layer_blocks", fpn.layer_blocks),
    ):
        for number, block in enumerate(blocks):
            conv = block.get_submodule("0")
            assert isinstance(conv, nn.Conv2d)
            with inside(f"{of_stages}.{number}.attention"):
                refine = attention(conv.in_channels)
            blocks[number] = nn.Sequential(OrderedDict([("attention", refine), ("0", conv)]))
