"""What there is to say about the attention maps of a layer: plain numbers, without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

SOURCES: Mapping[str, str] = {
    "image": "image",
    "c2": "C2",
    "c1": "C1",
    "taps": "tap",
    "image_c2": "image and C2",
    "image_c1": "image and C1",
    "image_taps": "image and tap",
    "rest": "other combinations",
}
"""What values of A vary with, and how it is called."""
BELOW, BETWEEN, ABOVE = (0, 114, 178), (242, 241, 236), (213, 94, 0)
"""Colours of values below, at and above the mean of all classes (Okabe and Ito)."""
MOST_LAYERS = 24
"""Of a network, that are shown."""


@dataclass(frozen=True)
class LayerAttention:
    """The attention maps A: (N, C2, C1, h, w) of one AW-convolution over some images.

    Attributes:
        layer: Its dotted name.
        sizes: Of the dims c2, c1, h, w of A, those of the weights.
        distinct: Values along each of them that can differ; neighbours share one (Eq. 8).
        f2: How A is put to the weights.
        mean: Of all values.
        sd: Of all values.
        histogram: Share of the values in equal bins from 0 to 1.
        variance: Share of their variance that is due to each of `SOURCES`: to the image, to c2, to
            c1, to the tap alone (main effects), to the image together with one of the others (their
            interactions: what an image changes at some channels and not at others), and the rest.
        followed: The dim that `by_class` follows: the first of c2, c1, taps with distinct values.
        by_class: Mean of A along it in the images of each class.
        class_share: Of what varies between images along it, the share that the class explains:
            the adjusted coefficient of determination, 0 where the class explains nothing.
    """

    layer: str
    sizes: Mapping[str, int]
    distinct: Mapping[str, int]
    f2: str
    mean: float
    sd: float
    histogram: Sequence[float]
    variance: Mapping[str, float]
    followed: str
    by_class: Sequence[Sequence[float]]
    class_share: float

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)

    @property
    def sharing(self) -> str:
        """Along which dims neighbours share one value, and how many values that leaves."""
        shared = [
            f"{size // self.distinct[dim]} {SOURCES.get(dim, dim)}"
            for dim, size in self.sizes.items()
            if self.distinct[dim] < size
        ]
        kept = f"{prod(self.distinct.values()):,} values for {prod(self.sizes.values()):,} weights"
        return f"{' x '.join(shared)} share one: {kept}" if shared else f"nothing shared: {kept}"

    @property
    def largest(self) -> str:
        """The two sources that most of the variance is due to."""
        ordered = sorted(self.variance.items(), key=lambda item: -item[1])[:2]
        named = [(SOURCES.get(name, name), share) for name, share in ordered if share >= 0.005]
        return ", ".join(f"{name} {100 * share:.0f} %" for name, share in named) or "nothing"

    @property
    def class_spread(self) -> float:
        """Largest distance of a class from the mean of all classes, anywhere along `followed`."""
        values = np.asarray(self.by_class)
        return float(np.abs(values - values.mean(0)).max())

    @property
    def class_colours(self) -> NDArray[np.uint8]:
        """Colours (classes, F, 3) of how far A of a class lies above or below that of all.

        The largest distance has the full colour, so that a pattern is seen however small it is.
        """
        values = np.asarray(self.by_class, np.float64)
        distance = values - values.mean(0)
        strength = distance / (np.abs(distance).max() or 1.0)
        end = np.where(strength[..., None] > 0, ABOVE, BELOW)
        middle = np.array(BETWEEN)
        return np.round(middle + np.abs(strength)[..., None] * (end - middle)).astype(np.uint8)
