"""Fetch the published archives of CIFAR-10 and CIFAR-100."""

import shutil
import tarfile
from pathlib import Path

from filelock import FileLock
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import check_integrity, download_url

from awlab.data.errors import DataError


def fetch_cifar(published: type[CIFAR10], root: Path, *, download: bool) -> None:
    """Make sure that the files of a set are in its folder below `root`.

    Processes may call this at the same time: one of them does the work. Each file appears in one
    piece, whenever the process ends.

    Args:
        published: torchvision's class: it knows address, names and checksums.
        root: Folder in which the folder of the set lies.
        download: Whether an archive that is not at hand may be downloaded to `root`.

    Raises:
        DataError: When files are missing, and the archive is not at hand and cannot or may not be
            downloaded, or is damaged.
    """
    if not _missing(published, root):
        return
    archive = root / published.filename
    if not download and not archive.is_file():
        raise DataError(
            f"{published.__name__} is not in runtime.data_root: {root / published.base_folder} "
            f"lacks {', '.join(_missing(published, root))}. Allow the download with "
            f"runtime.download=true, or {_by_hand(published, root)}"
        )
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".{published.filename}.lock"):
        if _missing(published, root):
            if download:
                _download(published, root)
            elif not check_integrity(archive, published.tgz_md5):
                raise DataError(
                    f"{archive} is damaged or not complete: it has not the published MD5 "
                    f"{published.tgz_md5}; {_by_hand(published, root)}"
                )
            _unpack(published, root)


def _by_hand(published: type[CIFAR10], root: Path) -> str:
    return f"put {published.url} into {root}: it is unpacked at the next start"


def _files(published: type[CIFAR10]) -> list[str]:
    images = [name for name, _ in (*published.train_list, *published.test_list)]
    return [*images, published.meta["filename"]]


def _missing(published: type[CIFAR10], root: Path) -> list[str]:
    folder = root / published.base_folder
    return [name for name in _files(published) if not (folder / name).is_file()]


def _download(published: type[CIFAR10], root: Path) -> None:
    try:
        download_url(published.url, root, filename=published.filename, md5=published.tgz_md5)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{published.__name__} cannot be downloaded: {error}; {_by_hand(published, root)}"
        ) from error


def _unpack(published: type[CIFAR10], root: Path) -> None:
    folder = root / published.base_folder
    folder.mkdir(exist_ok=True)
    with tarfile.open(root / published.filename) as archive:
        for name in _missing(published, root):
            content = archive.extractfile(f"{published.base_folder}/{name}")
            assert content is not None, name
            unfinished = folder / f".{name}.part"
            with content, unfinished.open("wb") as target:
                shutil.copyfileobj(content, target)
            unfinished.replace(folder / name)
