"""Networks that torchvision and timm have, with other convolutions in them."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from awlab.spec.base import Spec
from awlab.spec.conv import Conv
from awlab.spec.model import Model


class Conversion(Spec):
    """Which convolutions of a network are replaced, and by what.

    Those that are `torch.nn.Conv2d` itself and meet all of `where`, `kernel_size` and `every`.
    """

    conv: Conv
    """Takes their place, with their weights."""
    where: str = Field(default="*", min_length=1)
    """Glob over dotted names, as in `layer[34].*.conv2`; `*` matches dots, too."""
    kernel_size: int | None = Field(default=None, ge=1)
    """Only those with square kernels of this size; `null` is any."""
    every: int = Field(default=1, ge=1)
    """Only every so manyth of them, beginning with the first: 2 is every second."""
    start: Literal["paper", "identity"] = "paper"
    """`paper`: attention begins at random, as in a network trained from scratch; `identity`: the
    network begins with the function that it had, to fine-tune a pretrained one."""


class Zoo(Model):
    """A network of a library, which begins with the weights that the library gives it."""

    name: str = Field(min_length=1)
    """As the library calls it."""
    pretrained: bool = False
    """Begin with the library's default weights, which it downloads when they are not there; the
    last layer begins anew unless it has as many classes."""
    convert: Conversion | None = None
    """Convolutions that are replaced; `null` replaces none. `weights` of the network without them
    are read before, those of the converted network after."""

    @model_validator(mode="after")
    def _begins_with_one_thing(self) -> "Zoo":
        if self.pretrained and self.weights is not None:
            raise ValueError("pretrained would be replaced by weights: give one of them")
        return self

    @property
    def structure(self) -> Self:
        """The same network without what it begins with, for weights that follow."""
        return self.model_copy(update={"weights": None, "pretrained": False})

    @property
    def beginning(self) -> dict[str, Any]:
        """What decides initial weights beside the seed and the structure."""
        start = None if self.convert is None else self.convert.start
        return super().beginning | {"pretrained": self.pretrained and self.name, "start": start}


class Torchvision(Zoo):
    """A classification network of torchvision."""

    kind: Literal["torchvision"] = "torchvision"


class Timm(Zoo):
    """A network of timm (extra `zoo`)."""

    kind: Literal["timm"] = "timm"
