import pytest

from awlab.data.class_names import settle_class_names, some
from awlab.data.errors import DataError


def test_a_number_accepts_any_names():
    assert settle_class_names(["b", "a"], 2, "here") == ("b", "a")
    with pytest.raises(DataError, match=r"^x has 2 classes, data\.classes is 3: b, a$"):
        settle_class_names(["b", "a"], 3, "x")


def test_names_decide_about_the_order():
    assert settle_class_names(["b", "a"], ("a", "b"), "here") == ("a", "b")


def test_differences_are_named():
    message = (
        r"^x has other classes than data\.classes; only in the former: c, d; only in the latter: a$"
    )
    with pytest.raises(DataError, match=message):
        settle_class_names(["b", "c", "d"], ("a", "b"), "x")
    with pytest.raises(DataError, match=r"^x has other classes than y; only in the latter: a$"):
        settle_class_names(["b"], ("a", "b"), "x", "y")


def test_of_many_names_only_some_are_shown():
    assert some(["a", "b"]) == "a, b"
    assert some([str(k) for k in range(80)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 72 more"
