import json
from typing import Literal

import pytest
from pydantic import Field

from awlab.spec.attention import Attention
from awlab.spec.base import Family
from awlab.spec.schema import json_schema


@pytest.mark.parametrize(
    ("kind", "required"),
    [
        ("experiment", ["name", "model", "data", "training"]),
        ("ablation", ["name", "base", "axes", "baseline"]),
    ],
)
def test_a_schema_is_json_with_its_dialect(kind, required):
    schema = json.loads(json.dumps(json_schema(kind)))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == required
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("kind", ["experiment", "ablation"])
def test_every_reference_is_defined(kind):
    schema = json_schema(kind)

    def references(node):
        if isinstance(node, dict):
            yield from [node["$ref"]] if "$ref" in node else []
            node = list(node.values())
        for child in node if isinstance(node, list) else []:
            yield from references(child)

    found = set(references(schema))
    assert found == {f"#/$defs/{name}" for name in schema["$defs"]}


@pytest.mark.parametrize("family", ["Model", "Conv", "Attention", "Data", "Optimizer", "Schedule"])
def test_families_are_choices_by_kind(family):
    definitions = json_schema("experiment")["$defs"]
    for choice in definitions[family]["oneOf"]:
        member = definitions[choice["$ref"].rsplit("/", 1)[1]]
        assert "kind" in member["required"]
        kind = member["properties"]["kind"]
        assert "const" in kind or "enum" in kind


def test_fields_say_what_they_are():
    definitions = json_schema("experiment")["$defs"]
    assert definitions["Training"]["properties"]["epochs"] == {
        "description": "Passes over the training images.",
        "minimum": 1,
        "title": "Epochs",
        "type": "integer",
    }


def test_kinds_of_plugins_are_part_of_it(monkeypatch):
    monkeypatch.setattr(Attention, "members", dict(Attention.members))

    class Gated(Attention):
        kind: Literal["gated"] = "gated"
        strength: float = Field(default=0.5, ge=0)

    definitions = json_schema("experiment")["$defs"]
    assert {"$ref": "#/$defs/Gated"} in definitions["Attention"]["oneOf"]
    assert definitions["Gated"]["properties"]["strength"]["minimum"] == 0


def test_it_validates_what_the_loader_validates():
    """Without a validator at hand: each property of each class is a field, and the reverse."""
    definitions = json_schema("experiment")["$defs"]
    for founder in Family.__subclasses__():
        for member in founder.members.values():
            if member.__module__.startswith("awlab.") and member.__name__ in definitions:
                assert set(definitions[member.__name__]["properties"]) == set(member.model_fields)
