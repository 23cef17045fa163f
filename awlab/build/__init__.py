"""From the spec to torch: the only bridge.

Each function is open: a plugin that declares a kind registers how it is built, for example

    @build_attention.register
    def _(spec: Gated, channels: int) -> nn.Module: ...
"""

from awlab.build import detectors, zoo  # noqa: F401  (they register what they build)
from awlab.build.images import build_data, build_images
from awlab.build.layers import attention_factory, build_attention, build_conv, conv_factory
from awlab.build.networks import build_model, initial_weights, network
from awlab.build.scenes import build_detection_data, build_scenes

__all__ = [
    "attention_factory",
    "build_attention",
    "build_conv",
    "build_data",
    "build_detection_data",
    "build_images",
    "build_model",
    "build_scenes",
    "conv_factory",
    "initial_weights",
    "network",
]
