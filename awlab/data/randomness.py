"""Random numbers that depend on where they are used, not on what was drawn before.

A generator with a state gives an image other numbers when the batch size, the number of workers,
the rank or the step at which a run resumed differs. Here a number is a hash of its place: (seed,
epoch, index of the image, stream).
"""

from enum import IntEnum
from typing import Any, TypeVar

import torch
from torch import Tensor

# splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", Fig. 15),
# as signed numbers because torch's shifts and products are defined for int64.
_INCREMENT = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64

# Numbers alone are hashed without tensors, which takes a tenth of the time.
Bits = TypeVar("Bits", int, Tensor)


class Stream(IntEnum):
    """What a number is for: two streams of one key are independent."""

    ORDER = 1
    SPLIT = 2
    SPLIT_CLASS = 3
    PATCHES = 4
    WINDOW = 5
    ROTATION = 6
    RESIZED_CROP = 7
    SCENES = 8
    SCENE_CHANGES = 9


def fold(*parts: int | Tensor) -> Tensor:
    """Hash a place: a key with 64 random bits, int64, of the shape that the parts broadcast to."""
    key: Any = 0  # int or Tensor
    for part in parts:
        key = _splitmix64(key + part)
    return key if isinstance(key, Tensor) else torch.tensor(key)


def uniform(keys: Tensor, stream: Stream) -> Tensor:
    """One number in [0, 1) for each key, float64."""
    return _logical_shift(_splitmix64(keys + stream), 11).double() * 2.0**-53


def below(keys: Tensor, stream: Stream, bound: int) -> Tensor:
    """One of 0 ... bound - 1 for each key, int64; `bound` is at most 2^31."""
    return _logical_shift(_logical_shift(_splitmix64(keys + stream), 32) * bound, 32)


def permutation(count: int, key: Tensor) -> Tensor:
    """The numbers 0 ... count - 1 in an order that `key` decides, int64."""
    return torch.argsort(_splitmix64(key + torch.arange(count)), stable=True)


def _splitmix64(state: Bits) -> Bits:
    mixed = _wrap(state + _INCREMENT)
    mixed = _wrap((mixed ^ _logical_shift(mixed, 30)) * _FIRST)
    mixed = _wrap((mixed ^ _logical_shift(mixed, 27)) * _SECOND)
    return mixed ^ _logical_shift(mixed, 31)


def _logical_shift(bits: Bits, places: int) -> Bits:
    """Shift right and fill with zeros; torch's own shift copies the sign."""
    return (bits >> places) & ((1 << (64 - places)) - 1)


def _wrap(number: Bits) -> Bits:
    """Keep the lower 64 bits, as tensors do on their own."""
    return number if isinstance(number, Tensor) else (number + 2**63) % 2**64 - 2**63
