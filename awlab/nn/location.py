"""Where in a network a layer stands, for the errors that it raises while it is built."""

from collections.abc import Iterator
from contextlib import contextmanager


class LayerError(ValueError):
    """What a layer refused, with its dotted name in front: `layer2.0.conv2: ...`."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Name the layer that is built in this block, in every `ValueError` that leaves it.

    Nested blocks make dotted names, so that a network says where a layer did not fit however deep
    it stands.

    Raises:
        LayerError: For any `ValueError` raised inside.
    """
    try:
        yield
    except LayerError as error:
        raise LayerError(f"{name}.{error.name}", error.reason) from error.__cause__
    except ValueError as error:
        raise LayerError(name, str(error)) from error
