"""Write images and boxes in the layout of COCO."""

import json
from collections.abc import Sequence
from pathlib import Path

from awlab.data.scenes import Scenes, as_picture


def write_coco(
    scenes: Scenes,
    folder: Path,
    subset: str,
    class_names: Sequence[str],
    *,
    category_ids: Sequence[int] | None = None,
) -> None:
    """Write `annotations/instances_SUBSET.json` and `SUBSET/*.png`.

    Args:
        scenes: What is written.
        folder: Of the set.
        subset: Its name, such as `train2017`.
        class_names: In the order of the labels.
        category_ids: Of the classes in that order; COCO's own have gaps. By default 1, 2, ...
    """
    ids = category_ids or range(1, len(class_names) + 1)
    images, annotations = [], []
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / subset).mkdir(exist_ok=True)
    for index in range(len(scenes.objects)):
        one, picture = scenes.objects[index], as_picture(scenes.read(index))
        image = {"id": one["image_id"], "file_name": f"{one['image_id']:012d}.png"}
        picture.save(folder / subset / str(image["file_name"]))
        images.append(image | {"width": picture.width, "height": picture.height})
        for box, label, area, crowd in zip(
            one["boxes"].tolist(),
            one["labels"].tolist(),
            one["area"].tolist(),
            one["iscrowd"].tolist(),
            strict=True,
        ):
            left, top, right, bottom = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": one["image_id"],
                    "category_id": ids[label - 1],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": area,
                    "iscrowd": crowd,
                }
            )
    categories = [{"id": id_, "name": name} for id_, name in zip(ids, class_names, strict=True)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = folder / "annotations" / f"instances_{subset}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
