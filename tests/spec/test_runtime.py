import pytest

from awlab.spec.errors import SpecError
from awlab.spec.load import parse
from awlab.spec.runtime import Runtime


def test_the_default_runs_anywhere():
    runtime = parse(Runtime, {})
    assert (runtime.accelerator, runtime.devices, runtime.workers) == ("auto", "auto", "auto")
    assert not runtime.download


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"devices": 0}, "devices: must be at least 1 or 'auto', not 0"),
        ({"devices": "all"}, "devices: must be an integer or 'auto', not 'all'"),
        ({"workers": -1}, "workers: must be at least 0 or 'auto', not -1"),
        ({"channels_last": 1}, "channels_last: must be true or false or 'auto', not 1"),
        ({"max_images_per_device": 0}, "max_images_per_device: must be at least 1, not 0"),
        ({"checkpoint_every_steps": 0}, "checkpoint_every_steps: must be at least 1, not 0"),
        ({"gradcam_images": 65}, "gradcam_images: must be at most 64, not 65"),
        ({"wandb": "on"}, "wandb: must be 'auto', 'online', 'offline' or 'disabled', not 'on'"),
        ({"wandb_project": "My Lab"}, "wandb_project: must be 1 to 64 lower-case letters"),
        ({"accelerator": "cuda"}, "accelerator: must be 'auto', 'cpu' or 'gpu', not 'cuda'"),
        ({"root": ""}, "root: must be text of 1 or more characters, not ''"),
        ({"data_root": ""}, "data_root: must be text of 1 or more characters, not ''"),
        ({"device": 1}, r"device: unknown key. Did you mean 'devices'\?"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(SpecError, match=f"^{message}"):
        parse(Runtime, change)
