"""Detection sets in the layout of PASCAL VOC (Everingham et al. 2010)."""

from collections.abc import Sequence
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from awlab.data.box_check import check_boxes
from awlab.data.class_names import some
from awlab.data.errors import DataError
from awlab.data.objects import Objects
from awlab.data.scenes import SceneFiles, SceneSet
from awlab.data.voc_file import read_voc_file


def load_voc(
    folder: Path,
    *,
    train: Sequence[str] = ("VOC2007/trainval", "VOC2012/trainval"),
    validation: str | float = 0.02,
    test: str = "VOC2007/test",
    classes: Sequence[str],
    train_on_difficult: bool = True,
    clip_boxes: bool = False,
    split_seed: int = 0,
) -> SceneSet:
    """Read annotations; images are read when they are needed.

    A subset is written `VOC2007/trainval`: the images that `VOC2007/ImageSets/Main/trainval.txt`
    lists, with `VOC2007/Annotations/*.xml` and `VOC2007/JPEGImages/*`.

    Args:
        folder: Holds the folders of the years.
        train: Subsets to learn from.
        validation: A subset, or the part of the training images that is held out.
        test: The subset to report on.
        classes: Their names in the order of the labels.
        train_on_difficult: Whether objects marked as difficult are learned; they are never asked
            for in evaluation.
        clip_boxes: Whether boxes may reach out of their image or have no area.
        split_seed: Decides which images are held out.

    Raises:
        DataError: When files are missing or damaged, or there are objects of other classes.
    """
    labels = {name: label for label, name in enumerate(classes, start=1)}

    def read(*subsets: str) -> SceneFiles:
        scenes = _read(folder, subsets, labels)
        if not clip_boxes:
            check_boxes(scenes, folder)
        return scenes

    training = read(*train)
    if isinstance(validation, str):
        val = read(validation)
    else:
        training, val = training.hold_out(validation, seed=split_seed)
    objects = training.objects
    learned = objects.with_crowds_as_objects() if train_on_difficult else objects.without_crowds()
    return SceneSet(
        train=training.with_objects(learned),
        val=val,
        test=read(test),
        class_names=tuple(classes),
    )


def _read(folder: Path, subsets: Sequence[str], labels: dict[str, int]) -> SceneFiles:
    paths, sizes, targets = [], [], []
    for subset in subsets:
        year, _, image_set = subset.partition("/")
        names = _listed(folder / year / "ImageSets" / "Main" / f"{image_set}.txt")
        paths += _images(folder / year / "JPEGImages", names)
        for name in names:
            size, one = read_voc_file(
                folder / year / "Annotations" / f"{name}.xml", labels, image_id=len(targets)
            )
            sizes.append(size)
            targets.append(one)
    return SceneFiles.of(paths, sizes, Objects.of(targets))


def _listed(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise DataError(
            f"the list of images {path} is missing; its place is told by runtime.data_root, "
            "data.folder and the name of the subset"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if not names:
        raise DataError(f"{path} lists no images")
    return names


def _images(folder: Path, names: Sequence[str]) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"the folder of images {folder} is missing")
    there = {
        file.stem: str(file) for file in folder.iterdir() if file.suffix.lower() in IMG_EXTENSIONS
    }
    missing = [name for name in names if name not in there]
    if missing:
        raise DataError(f"{folder} lacks {len(missing)} of {len(names)} images: {some(missing)}")
    return [there[name] for name in names]
