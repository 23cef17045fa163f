"""The packages of the extra `demo`, in whose wheels the embedded image sets lie."""

import importlib
from types import ModuleType

from awlab.data.errors import DataError


def import_demo(module: str, *, needed_by: str) -> ModuleType:
    """Import a module of the extra.

    Args:
        module: Its dotted name.
        needed_by: The image set that lies in it, for the message.

    Raises:
        DataError: When it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f"the image set {needed_by} lies in {module.partition('.')[0]}, which cannot be "
            f"imported ({error}): pip install 'awlab[demo]'"
        ) from error
