"""Which test images are looked at."""

import torch
from torch import Tensor


def spread(labels: Tensor, count: int) -> list[int]:
    """Choose images evenly over the classes: the first ones of each, the same ones every time.

    Args:
        labels: Class of each image, (N,).
        count: How many; fewer are chosen where classes have too few.
    """
    classes = labels.unique()
    if count == 0 or len(classes) == 0:
        return []
    chosen = classes[torch.arange(count) * len(classes) // count]
    wanted = zip(*chosen.unique(return_counts=True), strict=True)
    return [
        index
        for label, number in wanted
        for index in (labels == label).nonzero().flatten()[: int(number)].tolist()
    ]
