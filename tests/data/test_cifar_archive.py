import functools
import hashlib
import http.server
import tarfile
import threading

import pytest
from torchvision.datasets import CIFAR100

from awlab.data.cifar_archive import fetch_cifar
from awlab.data.errors import DataError


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args, **kwargs): ...


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder and the address under which it is served."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "site"
    folder.mkdir()
    serve = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def archived(small_cifar100, site, tmp_path):
    """torchvision's description of a small archive, the archive, and an empty root."""
    folder, address = site
    source = folder / "cifar-100-python.tar.gz"
    with tarfile.open(source, "w:gz", compresslevel=1) as archive:
        archive.add(small_cifar100 / "cifar-100-python", "cifar-100-python")

    class Small(CIFAR100):
        url = f"{address}/{source.name}"
        tgz_md5 = hashlib.md5(source.read_bytes()).hexdigest()

    return Small, source, tmp_path / "root"


def files(root):
    return sorted(path.name for path in (root / "cifar-100-python").iterdir())


def test_files_that_are_there_are_left_alone(small_cifar100):
    before = {path: path.stat().st_mtime_ns for path in small_cifar100.rglob("*")}
    fetch_cifar(CIFAR100, small_cifar100, download=False)
    assert {path: path.stat().st_mtime_ns for path in small_cifar100.rglob("*")} == before


def test_missing_files_are_explained_and_nothing_is_made(tmp_path):
    root = tmp_path / "data"
    with pytest.raises(DataError, match=r"CIFAR100 is not in runtime\.data_root") as error:
        fetch_cifar(CIFAR100, root, download=False)
    message = str(error.value)
    assert f"{root / 'cifar-100-python'} lacks train, test, meta. " in message
    assert "Allow the download with runtime.download=true, or put " in message
    assert f"/cifar-100-python.tar.gz into {root}: it is unpacked at the next start" in message
    assert not root.exists()


def test_one_missing_file_is_named(small_cifar100):
    (small_cifar100 / "cifar-100-python" / "test").unlink()
    with pytest.raises(DataError, match=r"cifar-100-python lacks test\. "):
        fetch_cifar(CIFAR100, small_cifar100, download=False)


def test_the_archive_is_downloaded_when_allowed(archived):
    published, _, root = archived
    fetch_cifar(published, root, download=True)
    assert files(root) == ["meta", "test", "train"]


def test_an_archive_at_hand_is_unpacked_without_a_download(archived):
    published, source, root = archived
    root.mkdir()
    source.rename(root / source.name)
    fetch_cifar(published, root, download=False)
    assert files(root) == ["meta", "test", "train"]


def test_an_unfinished_unpacking_is_finished(archived):
    published, source, root = archived
    (root / "cifar-100-python").mkdir(parents=True)
    (root / "cifar-100-python" / ".train.part").write_bytes(b"half")
    source.rename(root / source.name)
    fetch_cifar(published, root, download=False)
    assert files(root) == ["meta", "test", "train"]


def test_a_damaged_archive_is_named(archived):
    published, _, root = archived
    root.mkdir()
    (root / published.filename).write_bytes(b"half an archive")
    message = (
        rf"{root / published.filename} is damaged or not complete: .* {published.tgz_md5}; put"
    )
    with pytest.raises(DataError, match=message):
        fetch_cifar(published, root, download=False)
    fetch_cifar(published, root, download=True)
    assert files(root) == ["meta", "test", "train"]


def test_a_download_that_fails_is_one_clear_error(archived):
    published, source, root = archived
    source.unlink()
    message = r"Small cannot be downloaded: .*; put .* into .*: it is unpacked at the next start"
    with pytest.raises(DataError, match=message):
        fetch_cifar(published, root, download=True)


def test_a_download_of_something_else_is_refused(archived):
    published, source, root = archived
    source.write_bytes(b"an error page")
    with pytest.raises(DataError, match="Small cannot be downloaded"):
        fetch_cifar(published, root, download=True)
    assert not (root / "cifar-100-python").exists()


def test_several_at_once_fetch_it_once(archived):
    published, _, root = archived
    threads = [
        threading.Thread(target=fetch_cifar, args=(published, root), kwargs={"download": True})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files(root) == ["meta", "test", "train"]
