"""Data sets of images with objects, from their specs."""

from functools import singledispatch
from pathlib import Path
from typing import Literal

from awlab.build.registry import unregistered
from awlab.data import DataError
from awlab.data.coco import COCOLayout, load_coco
from awlab.data.detection import DetectionData
from awlab.data.digit_scenes import Composition, load_digit_scenes
from awlab.data.scene_augmentation import SceneAugment
from awlab.data.scenes import SceneSet
from awlab.data.voc import load_voc
from awlab.spec import detection_data as data_spec
from awlab.spec.base import Family
from awlab.spec.errors import InputError


def build_detection_data(
    spec: data_spec.DetectionData,
    *,
    root: Path,
    batch_size: int,
    seed: int,
    workers: int | Literal["auto"],
) -> DetectionData:
    """Find the images of a spec and make batches of them and their boxes.

    Args:
        spec: Which images; its class is one that `build_scenes` knows.
        root: Folder of the data sets.
        batch_size: Images per device and micro-batch.
        seed: Of order and augmentation.
        workers: Processes per device that read images.

    Raises:
        InputError: When images are missing or are not what the spec says.
    """
    try:
        scenes, augment = build_scenes(spec, root=root)
    except DataError as error:
        raise InputError(str(error)) from error
    return DetectionData(scenes, batch_size=batch_size, seed=seed, augment=augment, workers=workers)


@singledispatch
def build_scenes(spec: Family, *, root: Path) -> tuple[SceneSet, SceneAugment]:
    """Return the images below `root` and how those of the training split are changed.

    Raises:
        DataError: When the user can mend what is wrong with them.
    """
    raise unregistered(spec, "build_scenes")


@build_scenes.register
def _(spec: data_spec.DigitScenes, *, root: Path) -> tuple[SceneSet, SceneAugment]:
    scenes = load_digit_scenes(
        train_images=spec.train_images,
        validation_images=spec.validation_images,
        test_images=spec.test_images,
        composition=Composition(spec.size, spec.classes, spec.most_digits, spec.digit_sizes),
        split_seed=spec.split_seed,
    )
    return scenes, _augment(spec.augmentation)


@build_scenes.register
def _(spec: data_spec.COCO, *, root: Path) -> tuple[SceneSet, SceneAugment]:
    scenes = load_coco(
        root / spec.folder,
        train=spec.train,
        validation=spec.validation,
        test=spec.test,
        classes=spec.classes,
        layout=COCOLayout(spec.annotations, spec.images),
        clip_boxes=spec.clip_boxes,
        split_seed=spec.split_seed,
    )
    return scenes, _augment(spec.augmentation)


@build_scenes.register
def _(spec: data_spec.VOC, *, root: Path) -> tuple[SceneSet, SceneAugment]:
    scenes = load_voc(
        root / spec.folder,
        train=spec.train,
        validation=spec.validation,
        test=spec.test,
        classes=spec.classes,
        train_on_difficult=spec.train_on_difficult,
        clip_boxes=spec.clip_boxes,
        split_seed=spec.split_seed,
    )
    return scenes, _augment(spec.augmentation)


def _augment(spec: data_spec.SceneAugmentation) -> SceneAugment:
    return SceneAugment(
        horizontal_flip=spec.horizontal_flip,
        photometric_distort=spec.photometric_distort,
        zoom_out=spec.zoom_out,
        iou_crop=spec.iou_crop,
    )
