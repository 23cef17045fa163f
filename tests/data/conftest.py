"""What the tests of detection data share."""

import json

import pytest


@pytest.fixture
def edit_coco():
    """Change the content of an annotation file."""

    def edit(folder, subset, change):
        path = folder / "annotations" / f"instances_{subset}.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        return path

    return edit


@pytest.fixture
def mark_crowds(edit_coco):
    """Make every so many-th annotation one of a crowd."""

    def mark(folder, subset, *, every):
        def change(content):
            for row in content["annotations"][every - 1 :: every]:
                row["iscrowd"] = 1

        edit_coco(folder, subset, change)

    return mark
