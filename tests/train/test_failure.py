import errno

import pytest
import torch

from awlab.train.checkpoint import DiskFullError
from awlab.train.failure import classify, tell
from awlab.train.guard import DivergedError


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (DivergedError("the loss was not finite after step 3"), "diverged"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory"),
        (MemoryError(), "out of memory"),
        (DiskFullError("disk full at runs"), "disk full"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk full"),
        (OSError(errno.EACCES, "Permission denied"), "error"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "killed"),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), "killed"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "error"),
        (KeyError("layer"), "error"),
    ],
)
def test_classes(error, failure):
    assert classify(error) == failure


def test_the_story_has_message_hint_and_traceback():
    try:
        raise torch.OutOfMemoryError("CUDA out of memory")
    except RuntimeError as error:
        story = tell(error)
    assert story.startswith("CUDA out of memory\nSet runtime.max_images_per_device")
    assert "Traceback (most recent call last)" in story
    assert "test_failure.py" in story
