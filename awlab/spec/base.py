"""What every node of a spec shares: frozen, closed to unknown keys, families open on `kind`."""

import re
from contextvars import ContextVar
from typing import Annotated, Any, ClassVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from awlab.spec.document import is_mapping
from awlab.spec.errors import shown

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
MODULE_NAME = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"


def _as_name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise ValueError(
            "must be 1 to 64 lower-case letters, digits, '_' and '-', and begin with a letter or a "
            f"digit, not {text!r}"
        )
    return text


def _as_module_name(text: str) -> str:
    if not re.fullmatch(MODULE_NAME, text):
        raise ValueError(f"must be the name of a module, such as mylab.gated, not {text!r}")
    return text


Name = Annotated[str, AfterValidator(_as_name), Field(json_schema_extra={"pattern": NAME})]
"""A name that is also a folder name."""
ModuleName = Annotated[
    str, AfterValidator(_as_module_name), Field(json_schema_extra={"pattern": MODULE_NAME})
]
"""A module that `import` finds."""

_described: ContextVar[frozenset[type]] = ContextVar("_described", default=frozenset())
"""Families whose JSON Schema is being made: a member may hold members of its own family."""


class Spec(BaseModel):
    """A node of a spec: immutable data, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )


class Family(Spec):
    """A node whose `kind` names its class.

    A direct subclass founds a family. A subclass of that which declares
    `kind: Literal["mine"]` joins it, wherever it is defined: from then on it is accepted in
    YAML, listed in errors and in the JSON Schema.
    """

    family: ClassVar[str]
    members: ClassVar[dict[str, type["Family"]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Family in cls.__bases__:
            cls.family, cls.members = cls.__name__.lower(), {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "kind" not in cls.model_fields:
            return
        kinds = get_args(cls.model_fields["kind"].annotation)
        if not kinds:
            raise ValueError(
                f"{cls.__module__}.{cls.__qualname__}: kind must be declared as Literal['...'], "
                f"not {cls.model_fields['kind'].annotation}"
            )
        for kind in kinds:
            cls._join(kind)

    @classmethod
    def _is_founder(cls) -> bool:
        return "members" in cls.__dict__

    @classmethod
    def _join(cls, kind: str) -> None:
        known = cls.members.get(kind)
        if known is not None and (known.__module__, known.__qualname__) != (
            cls.__module__,
            cls.__qualname__,
        ):
            raise ValueError(
                f"{cls.__module__}.{cls.__qualname__}: the {cls.family} kind {kind!r} is already "
                f"taken by {known.__module__}.{known.__qualname__}"
            )
        cls.members[kind] = cls

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if not cls._is_founder():
            return handler(source)
        return core_schema.no_info_plain_validator_function(
            cls._pick,
            ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls._serialize, info_arg=True
            ),
        )

    @staticmethod
    def _serialize(value: "Family", info: SerializationInfo) -> dict[str, Any]:
        """Dump all fields of the member, what it is before what is in it."""
        fields = value.model_dump(
            mode=info.mode,
            exclude_unset=info.exclude_unset,
            exclude_defaults=info.exclude_defaults,
            exclude_none=info.exclude_none,
        )
        return {"kind": vars(value)["kind"], **fields}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if cls._is_founder():
            return cls._json_schema_of_members(handler)
        found = handler(schema)
        resolved = handler.resolve_ref_schema(found)
        resolved["required"] = list(dict.fromkeys(["kind", *resolved.get("required", [])]))
        return found

    @classmethod
    def _json_schema_of_members(cls, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe all members; a family within itself is a reference to what is made out here."""
        described = _described.get()
        if cls in described:
            return {"type": "object"}
        members = {kind: member.__pydantic_core_schema__ for kind, member in cls.members.items()}
        token = _described.set(described | {cls})
        try:
            return handler(core_schema.tagged_union_schema(members, discriminator="kind"))
        finally:
            _described.reset(token)

    @classmethod
    def _pick(cls, value: Any) -> "Family":
        """Validate a mapping as the member that its `kind` names."""
        if isinstance(value, cls):
            return value
        allowed = sorted(cls.members)
        context = {"family": cls.family, "kinds": ", ".join(allowed), "allowed": allowed}
        if not is_mapping(value):
            raise PydanticCustomError(
                "family_type", "expected a mapping with a 'kind', one of {kinds}", context
            )
        if "kind" not in value:
            raise PydanticCustomError("kind_missing", "needs a 'kind', one of {kinds}", context)
        kind = value["kind"]
        if not isinstance(kind, str) or kind not in cls.members:
            raise PydanticCustomError(
                "kind_unknown",
                "no {family} of kind {given}, expected one of {kinds}",
                {**context, "given": shown(kind), "kind": kind},
            )
        return cls.members[kind].model_validate(value)
