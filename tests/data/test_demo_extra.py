import sys

import pytest

from awlab.data.demo_extra import import_demo
from awlab.data.errors import DataError


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    message = r"the image set digits lies in sklearn, .*: pip install 'awlab\[demo\]'"
    with pytest.raises(DataError, match=message):
        import_demo("sklearn.datasets", needed_by="digits")


def test_what_is_there_is_imported():
    assert import_demo("json.decoder", needed_by="digits").__name__ == "json.decoder"
