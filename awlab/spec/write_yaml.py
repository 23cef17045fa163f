"""Write YAML that people like to read and that reads back as what it was."""

from collections.abc import Iterable
from typing import Any, cast

import yaml

from awlab.spec.read_yaml import scalar

_SHORT = 80


def write_yaml(data: Any) -> str:
    """Return plain data as YAML: blocks, and short lists of scalars in one line."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or YAML 1.2 would read as something else.

    PyYAML itself writes some line breaks so that they read back as spaces: what is not printable is
    escaped.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            tag = _TAGS.get(type(scalar(value)))
            if tag is not None:
                return tag
        return cast(Any, super()).resolve(kind, value, implicit)

    def represent_list(self, data: Iterable[Any]) -> yaml.SequenceNode:
        items = list(data)
        short = (
            not any(isinstance(item, dict | list) for item in items) and len(str(items)) < _SHORT
        )
        return self.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=short)

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = None if data.isprintable() else '"'
        return cast(Any, self).represent_scalar("tag:yaml.org,2002:str", data, style=style)


_TAGS: dict[type, str] = {
    type(None): "tag:yaml.org,2002:null",
    bool: "tag:yaml.org,2002:bool",
    int: "tag:yaml.org,2002:int",
    float: "tag:yaml.org,2002:float",
}
_Dumper.add_representer(list, _Dumper.represent_list)
_Dumper.add_representer(str, _Dumper.represent_str)
