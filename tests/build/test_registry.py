from typing import Literal

import pytest

from awlab import build, spec


def test_tells_how_to_build_a_kind_that_nobody_registered(monkeypatch):
    monkeypatch.setattr(spec.Model, "members", dict(spec.Model.members))

    class Unbuilt(spec.Model):
        kind: Literal["unbuilt"] = "unbuilt"

    message = (
        r"^nothing builds Unbuilt \(kind 'unbuilt'\): register a function for it with "
        r"@awlab\.build\.build_model\.register in the plugin that declares it$"
    )
    with pytest.raises(TypeError, match=message):
        build.build_model(Unbuilt(), num_classes=10, channels=3, image_size=32)
