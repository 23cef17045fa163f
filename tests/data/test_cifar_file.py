import io
import pickle
import pickletools
import random
from pathlib import Path

import numpy as np
import pytest

from awlab.data.cifar_file import read_cifar_file

PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 6)


def written_by_python_2() -> bytes:
    """The opcodes of a published file, with a small array."""
    text = lambda value: b"U" + bytes([len(value)]) + value  # noqa: E731
    array = b"".join(
        (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85",
            text(b"b") + b"\x87R(K\x01K\x02K\x06\x86cnumpy\ndtype\n",
            text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN",
            b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            text(PIXELS.tobytes()) + b"tb",
        )
    )
    labels = b"](K\x03K\x63e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"fine_labels") + labels + b"u."


def test_a_file_of_python_2_is_read():
    content = written_by_python_2()
    pickletools.dis(content, out=io.StringIO())
    found = read_cifar_file(content)
    assert sorted(found) == ["data", "fine_labels"]
    assert found["fine_labels"] == [3, 99]
    np.testing.assert_array_equal(found["data"], PIXELS)
    np.testing.assert_array_equal(pickle.loads(content, encoding="latin1")["data"], PIXELS)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_files_of_every_protocol_are_read(protocol):
    content = {
        b"data": PIXELS,
        "columns_first": np.asfortranarray(PIXELS),
        "labels": [1, np.int64(2)],
        "filenames": ["a.png", "b.png"],
    }
    found = read_cifar_file(pickle.dumps(content, protocol))
    np.testing.assert_array_equal(found["data"], PIXELS)
    np.testing.assert_array_equal(found["columns_first"], PIXELS)
    assert found["labels"] == [1, 2]
    assert found["filenames"] == ["a.png", "b.png"]


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_file_that_asks_for_code_is_refused_and_nothing_runs(tmp_path, protocol):
    content = pickle.dumps({"data": Attack(tmp_path / "touched")}, protocol)
    with pytest.raises(ValueError, match=r"it asks for \S+, which no CIFAR file holds"):
        read_cifar_file(content)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("name", ["os\nsystem", "builtins\neval", "numpy\nload", "codecs\nencode"])
def test_no_other_name_is_allowed(name):
    with pytest.raises(ValueError, match=f"it asks for {name.replace(chr(10), '.')}"):
        read_cifar_file(f"c{name}\n(S'x'\ntR.".encode())


def test_other_content_is_refused():
    with pytest.raises(ValueError, match="it holds a list instead of a dictionary"):
        read_cifar_file(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="it holds an array of 'O8' instead of integers"):
        read_cifar_file(pickle.dumps({"data": np.array([None])}, 2))
    with pytest.raises(ValueError, match="it holds bytes encoded as 'zlib'"):
        read_cifar_file(b"c_codecs\nencode\n(Vdata\nVzlib\ntR.")
    with pytest.raises(ValueError, match=r"it is not a whole pickle \(KeyError"):
        read_cifar_file(b"\xff\xd8\xff\xe0 a photograph")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_cut_file_is_an_error(protocol):
    content = pickle.dumps({"data": PIXELS, "labels": [1, 2]}, protocol)
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"\w"):
            read_cifar_file(content[:length])


def test_damage_is_an_error_or_harmless():
    """No flipped bit raises anything but ValueError, or makes the reader take gigabytes."""
    content = pickle.dumps({"data": PIXELS, "labels": [1, 2]}, 2)
    chance = random.Random(0)
    errors = 0
    for _ in range(2000):
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        try:
            read_cifar_file(bytes(damaged))
        except ValueError:
            errors += 1
    assert errors > 500
