"""Networks: they take factories for their convolutions and attention modules."""

from awlab.models.aa_wide_resnet import aa_wide_resnet as aa_wide_resnet
from awlab.models.mobilenet import MobileNet as MobileNet
from awlab.models.resnet import ResNet as ResNet
from awlab.models.wide_resnet import WideResNet as WideResNet
from awlab.models.wide_resnet import wide_resnet as wide_resnet
from awlab.models.zoo import timm_network as timm_network
from awlab.models.zoo import torchvision_network as torchvision_network
