import pytest

from awlab.plan.names import labels_of, name_of
from awlab.spec.ablation import Axis
from awlab.spec.document import Document

AXES = {
    "f2": Axis(path="model.conv.f2", values=["residual", "product"]),
    "r": Axis(path="model.conv.reduction", values=[8, 16]),
}
ONE = {"r": AXES["r"]}


def test_a_name_says_the_label_of_each_axis():
    assert name_of({"f2": "product", "r": "8"}) == "f2=product,r=8"
    assert name_of({"r": "8"}) == "8"


@pytest.mark.parametrize("name", ["f2=product,r=8", "r=8,f2=product", "r = 8, f2 = product"])
def test_a_name_is_read_in_any_order(name):
    document = Document({})
    labels = labels_of(name, AXES, document=document)
    assert labels is not None
    assert list(labels.items()) == [("f2", "product"), ("r", "8")]
    assert not document.problems


@pytest.mark.parametrize("name", ["8", "r=8"])
def test_the_only_axis_need_not_be_named(name):
    assert labels_of(name, ONE, document=Document({})) == {"r": "8"}


def test_defaults_fill_what_is_left_out():
    labels = labels_of(
        "f2=product", AXES, defaults={"f2": "residual", "r": "16"}, document=Document({})
    )
    assert labels == {"f2": "product", "r": "16"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("product", "'product' is no cell; a cell is written as in f2=residual,r=8"),
        ("f2=product,f2=product", "is no cell"),
        ("f2=product", "'f2=product' names no value of r"),
        ("F2=product,r=8", "no axis 'F2'; expected one of f2, r. Did you mean 'f2'?"),
        (
            "f2=produkt,r=8",
            (
                "axis f2 has no value 'produkt'; expected one of residual, product. "
                "Did you mean 'product'?"
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_name_is_noted(name, message):
    document = Document({})
    assert labels_of(name, AXES, document=document, path=("baseline",)) is None
    assert message in "\n".join(map(str, document.problems))


def test_of_many_labels_some_are_listed():
    axes = {"r": Axis(path="model.conv.reduction", values=list(range(1, 1000)))}
    document = Document({})
    assert labels_of("0", axes, document=document) is None
    assert "18, 19, 20, ..." in str(document.problems[0])
