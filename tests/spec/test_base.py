import sys
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from awlab.spec.attention import CBAM, Attention
from awlab.spec.base import Family, ModuleName, Name, Spec


class Metal(Family):
    """Founds a family for these tests."""

    weight: float = 1.0


class Iron(Metal):
    kind: Literal["iron"] = "iron"


class Noble(Metal):
    kind: Literal["gold", "silver"]


class Alloy(Metal):
    kind: Literal["alloy"] = "alloy"
    parts: tuple[Metal, ...] = Field(strict=False)


class Tool(Spec):
    name: Name = "tool"
    metal: Metal = Iron()
    plugin: ModuleName | None = None


def test_specs_are_frozen_and_closed():
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Tool(), "name", "x")  # noqa: B010
    with pytest.raises(ValidationError, match="Extra inputs"):
        Tool.model_validate({"nname": "x"})


def test_types_are_not_converted():
    with pytest.raises(ValidationError, match="valid number"):
        Iron.model_validate({"weight": "1"})
    assert Iron.model_validate({"weight": 2}).weight == 2.0


def test_a_kind_chooses_the_class():
    assert Tool.model_validate({"metal": {"kind": "silver"}}).metal == Noble(kind="silver")
    assert Metal.model_validate({"kind": "iron", "weight": 2}) == Iron(weight=2.0)


def test_a_member_is_taken_as_it_is():
    iron = Iron(weight=3.0)
    assert Tool(metal=iron).metal is iron


def test_a_member_of_another_family_is_refused():
    with pytest.raises(ValidationError, match="expected a mapping with a 'kind', one of alloy"):
        Tool.model_validate({"metal": CBAM()})


def test_members_defined_later_join(monkeypatch):
    monkeypatch.setattr(Metal, "members", dict(Metal.members))
    with pytest.raises(
        ValidationError, match="no metal of kind 'tin', expected one of alloy, gold"
    ):
        Tool.model_validate({"metal": {"kind": "tin"}})

    class Tin(Metal):
        kind: Literal["tin"] = "tin"

    assert Tool.model_validate({"metal": {"kind": "tin"}}).metal == Tin()
    assert "Tin" in Tool.model_json_schema()["$defs"]


def test_a_kind_belongs_to_one_class(monkeypatch):
    monkeypatch.setattr(Metal, "members", dict(Metal.members))
    message = r"Brass: the metal kind 'iron' is already taken by .*\.Iron$"
    with pytest.raises(ValueError, match=message):

        class Brass(Metal):
            kind: Literal["iron"] = "iron"


def test_a_kind_is_a_literal():
    message = r"Tin: kind must be declared as Literal\['...'\], not <class 'str'>"
    with pytest.raises(ValueError, match=message):

        class Tin(Metal):
            kind: str = "tin"


def test_a_module_that_is_loaded_again_keeps_its_kinds(tmp_path, monkeypatch):
    monkeypatch.setattr(Attention, "members", dict(Attention.members))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "plugin_twice.py").write_text(
        "from typing import Literal\nfrom awlab import Attention\n"
        "class Twice(Attention):\n    kind: Literal['twice'] = 'twice'\n"
    )
    for _ in range(2):
        sys.modules.pop("plugin_twice", None)
        __import__("plugin_twice")
    assert Attention.members["twice"] is sys.modules["plugin_twice"].Twice


def test_errors_within_members_keep_their_place():
    parts = [{"kind": "iron"}, {"kind": "alloy", "parts": [{"kind": "iron", "weight": "x"}]}]
    with pytest.raises(ValidationError) as caught:
        Tool.model_validate({"metal": {"kind": "alloy", "parts": parts}})
    (error,) = caught.value.errors()
    assert error["loc"] == ("metal", "parts", 1, "parts", 0, "weight")


def test_dumps_begin_with_the_kind_and_hold_all_fields():
    dumped = Tool(metal=Noble(kind="gold")).model_dump()["metal"]
    assert list(dumped.items()) == [("kind", "gold"), ("weight", 1.0)]


def test_sparse_dumps_keep_the_kind():
    tool = Tool(metal=Alloy(parts=(Iron(weight=2.0),)))
    sparse = tool.model_dump(mode="json", exclude_defaults=True)
    parts = [{"kind": "iron", "weight": 2.0}]
    assert sparse == {"metal": {"kind": "alloy", "parts": parts}}
    assert Tool.model_validate(sparse) == tool


def test_families_and_members_are_definitions_of_the_schema():
    schema = Tool.model_json_schema()
    assert schema["properties"]["metal"]["$ref"] == "#/$defs/Metal"
    definitions = schema["$defs"]
    assert definitions["Metal"]["oneOf"] == [
        {"$ref": "#/$defs/Iron"},
        {"$ref": "#/$defs/Noble"},
        {"$ref": "#/$defs/Alloy"},
    ]
    assert definitions["Iron"]["required"] == ["kind"]
    assert definitions["Iron"]["properties"]["kind"]["const"] == "iron"
    assert definitions["Noble"]["properties"]["kind"]["enum"] == ["gold", "silver"]
    assert definitions["Alloy"]["properties"]["parts"]["items"] == {"$ref": "#/$defs/Metal"}


@pytest.mark.parametrize("name", ["a", "0", "a_b-c9", "a" * 64])
def test_names(name):
    assert Tool(name=name).name == name


NO_NAMES = ["", "A", "-a", "_a", "a b", "a/b", "a.b", "a\n", "a" * 65, "a" * 300, "\u00e4"]


@pytest.mark.fault
@pytest.mark.parametrize("name", [*NO_NAMES, "../x", "/x", "a\0b", "CON"])
def test_names_that_are_no_folder_names(name):
    message = "must be 1 to 64 lower-case letters, digits, '_' and '-', and begin with a letter or"
    with pytest.raises(ValidationError, match=message):
        Tool(name=name)


@pytest.mark.parametrize("name", ["1a", "a-b", "a..b", "a.", ".a", "", "a b", "a\n"])
def test_names_of_modules(name):
    assert Tool(plugin="my_lab.gated2").plugin == "my_lab.gated2"
    with pytest.raises(
        ValidationError, match=r"must be the name of a module, such as mylab\.gated"
    ):
        Tool(plugin=name)
