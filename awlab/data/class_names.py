"""What the classes are called, here and there."""

from collections.abc import Sequence

from awlab.data.errors import DataError

_NAMES_SHOWN = 8


def settle_class_names(
    found: Sequence[str],
    expected: int | Sequence[str],
    source: object,
    reference: object = "data.classes",
) -> tuple[str, ...]:
    """Compare the classes of some data with those that are expected.

    Args:
        found: In the data.
        expected: How many, or which; in the latter case their order counts.
        source: Where they were found, for the message.
        reference: What tells which are expected, for the message.

    Returns:
        The names in the order of their labels.

    Raises:
        DataError: When they differ.
    """
    if isinstance(expected, int):
        if len(found) != expected:
            raise DataError(
                f"{source} has {len(found)} classes, data.classes is {expected}: {some(found)}"
            )
        return tuple(found)
    differences = [
        f"only in {where}: {some(only)}"
        for where, only in (
            ("the former", [name for name in found if name not in set(expected)]),
            ("the latter", [name for name in expected if name not in set(found)]),
        )
        if only
    ]
    if differences:
        raise DataError(f"{source} has other classes than {reference}; {'; '.join(differences)}")
    return tuple(expected)


def some(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    rest = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
