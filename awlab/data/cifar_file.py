"""Read one file of CIFAR-10 or CIFAR-100: a Python pickle, without trusting it.

A pickle can run any code when it is read. The published files, which Python 2 wrote, hold
dictionaries, lists, text, integers and arrays of integers. Those are rebuilt here by code of our
own; whatever a file asks for beyond them is refused.
"""

import io
import pickle
import struct
from typing import Any

import numpy as np


def read_cifar_file(content: bytes) -> dict[str, Any]:
    """Return the dictionary in a file.

    Args:
        content: The bytes of the file.

    Raises:
        ValueError: When they are not a pickled dictionary of plain data.
    """
    try:
        found = _PlainDataUnpickler(io.BytesIO(content), encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ValueError(str(error)) from error
    except _DAMAGE as error:
        raise ValueError(f"it is not a whole pickle ({type(error).__name__}: {error})") from error
    if type(found) is not dict:
        raise ValueError(f"it holds a {type(found).__name__} instead of a dictionary")
    return {
        _text(key): value.values if isinstance(value, _Array) else value
        for key, value in found.items()
    }


# What the unpickler raises for bytes that are no pickle or not a whole one.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    struct.error,
    TypeError,
    ValueError,
)


def _text(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


class _IntegerType:
    """Rebuilds a `numpy.dtype`: one of integers."""

    def __init__(self, code: str, *_: object) -> None:
        if code not in {f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)}:
            raise pickle.UnpicklingError(f"it holds an array of {code!r} instead of integers")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def read(self, content: bytes | str) -> np.ndarray:
        plain = content.encode("latin1") if isinstance(content, str) else content
        kind = np.dtype(self.order + self.code)
        return np.frombuffer(plain, dtype=kind) if plain else np.empty(0, dtype=kind)


class _Array:
    """Rebuilds a `numpy.ndarray`."""

    values: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, kind, column_major, content = state
        order = "F" if column_major else "C"
        self.values = kind.read(content).reshape(shape, order=order)


def _empty_array(*_: object) -> _Array:
    """`numpy._core.multiarray._reconstruct`: an array whose content follows."""
    return _Array()


def _full_array(content: bytes, kind: _IntegerType, shape: Any, order: str) -> _Array:
    """`numpy._core.numeric._frombuffer`: an array with its content."""
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", content))
    return array


def _integer(kind: _IntegerType, content: bytes | str) -> int:
    """`numpy._core.multiarray.scalar`: one number."""
    return int(kind.read(content).item())


def _latin1(text: str, encoding: str) -> bytes:
    """`_codecs.encode`: bytes that Python 3 wrote for readers in Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes encoded as {encoding!r}")
    return text.encode("latin1")


_ALLOWED = {
    "_codecs.encode": _latin1,
    "numpy.dtype": _IntegerType,
    "numpy.ndarray": _Array,
    **{
        f"numpy.{core}.{name}": rebuild
        for core in ("core", "_core")  # before and since numpy 2
        for name, rebuild in (
            ("multiarray._reconstruct", _empty_array),
            ("multiarray.scalar", _integer),
            ("numeric._frombuffer", _full_array),
        )
    },
}


class _PlainDataUnpickler(pickle._Unpickler):
    # The unpickler in Python: the one in C fills gigabytes when one damaged bit asks it to number
    # an object 800,000,000.
    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}"
        if full_name not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {full_name}, which no CIFAR file holds")
        return _ALLOWED[full_name]
