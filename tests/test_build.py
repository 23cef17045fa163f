import re
import sys
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from awlab import build, spec
from awlab.data import Augment, Crops
from awlab.data.image_files import ImageFiles
from awlab.nn import CBAM, AttentionAugmentedConv2d, AWConv2d, SqueezeExcitation
from awlab.spec.errors import InputError
from awlab.spec.load import load_experiment

EXPERIMENTS = sorted((Path(__file__).parents[1] / "experiments").glob("*.yaml"))


class Gate(nn.Module):
    """Draws weights when it is built, and cannot be reset."""

    def __init__(self, channels: int):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.logits.sigmoid()


@pytest.fixture
def gated(monkeypatch) -> spec.Attention:
    """A user's attention, as a plugin adds it."""
    monkeypatch.setattr(spec.Attention, "members", dict(spec.Attention.members))

    class Gated(spec.Attention):
        kind: Literal["gated"] = "gated"

    @build.build_attention.register
    def _(spec: Gated, channels: int) -> nn.Module:
        return Gate(channels)

    return Gated()


def digits(model: spec.Model, seed: int = 0) -> spec.Experiment:
    return spec.Experiment(
        name="digits",
        model=model,
        data=spec.Digits(),
        training=spec.Training(epochs=1, batch_size=2, optimizer=spec.SGD(lr=0.1)),
        seed=seed,
    )


def resnet(**changes) -> spec.ResNet:
    return spec.ResNet(**({"depth": 50, "width": 4, "stem": "cifar"} | changes))


AUGMENTED = spec.AAWideResNet(
    depth=10, width=1, self_attention=spec.SelfAttention(heads=1, key_ratio=0.25)
)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_experiment_builds(path):
    experiment = load_experiment(path)
    data = experiment.data
    with torch.device("meta"):
        network = build.network(experiment).eval()
        logits = network(torch.empty(1, data.channels, data.image_size, data.image_size))
    assert logits.shape == (1, data.num_classes)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_experiment_says_where_it_is_from_and_how_to_run_it(path):
    text = path.read_text()
    comment = text[: text.index("\nname: ")]
    assert all(line.startswith("# ") for line in comment.splitlines())
    assert "% top-1 error" in comment
    assert f"Run: awlab run experiments/{path.name}" in comment
    assert load_experiment(path).name == path.stem


@pytest.mark.parametrize(
    "model",
    [
        resnet(),
        resnet(depth=18, conv=spec.AWConvolution(f2="product"), attention=spec.CBAM()),
        resnet(depth=18, attention=spec.ECA()),
        resnet(depth=18, attention=spec.GatherExcite(extent=2)),
        resnet(depth=18, attention=spec.GlobalContext(fusion="scale")),
        resnet(stem="imagenet", stride_in="3x3", attention=spec.SqueezeExcitation()),
        spec.WideResNet(depth=10, width=1, conv=spec.AWConvolution(), attention=spec.CBAM()),
        AUGMENTED,
        *[AUGMENTED.model_copy(update={"aw": spec.AWInAA(position=k)}) for k in (0, 1, 2, 3)],
    ],
    ids=lambda model: model.kind,
)
def test_small_networks_learn(model):
    network = build.network(digits(model))
    logits = network(torch.randn(2, 1, 8, 8))
    assert logits.shape == (2, 10)
    logits.sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_shared_layers_start_bit_equal():
    plain = build.network(digits(resnet())).state_dict()
    variants = [
        resnet(conv=spec.AWConvolution()),
        resnet(attention=spec.SqueezeExcitation()),
        resnet(conv=spec.AWConvolution(f2="product", reduction=4), attention=spec.CBAM()),
    ]
    for model in variants:
        variant = build.network(digits(model)).state_dict()
        assert len(variant) > len(plain)
        for name, values in plain.items():
            assert torch.equal(values, variant[name]), name


def test_a_plugin_builds_its_kind(gated):
    network = build.network(digits(resnet(attention=gated)))
    channels = [len(module.logits) for module in network.modules() if isinstance(module, Gate)]
    assert channels[:4] == [16, 16, 16, 32]
    network(torch.randn(2, 1, 8, 8)).sum().backward()


def test_the_seed_decides_the_weights_and_nothing_else_does(gated):
    model = resnet(attention=gated)
    first, second = (build.network(digits(model)).state_dict() for _ in "ab")
    state = torch.get_rng_state()
    other = build.network(digits(model, seed=1)).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    for name, values in first.items():
        assert torch.equal(values, second[name]), name
    for name in ("layer1.0.conv2.weight", "layer1.0.attention.logits"):
        assert not torch.equal(first[name], other[name])


def test_conv_settings_arrive():
    conv = build.build_conv(
        spec.AWConvolution(expand={"c2": 2, "h": "full"}, f2="product", reduction=8, min_hidden=3)
    )(4, 8, 3, stride=2, padding=1, bias=False)
    assert isinstance(conv, AWConv2d)
    assert conv.expand == {"c2": 2, "h": "full"}
    assert (conv.f2, conv.reduction, conv.stride, conv.bias) == ("product", 8, (2, 2), None)
    assert conv.state_dict()["attention.0.weight"].shape[0] == 3
    plain = build.conv_factory(None)
    assert plain is nn.Conv2d


def test_attention_settings_arrive():
    excitation = build.build_attention(spec.SqueezeExcitation(reduction=4), 8)
    assert isinstance(excitation, SqueezeExcitation)
    assert excitation.fc1.out_channels == 2
    few = build.build_attention(spec.SqueezeExcitation(reduction=16), 8)
    assert isinstance(few, SqueezeExcitation)
    assert few.fc1.out_channels == 1
    cbam = build.build_attention(spec.CBAM(reduction=2, variant="spatial"), 8)
    assert isinstance(cbam, CBAM)
    assert cbam.channel.mlp.state_dict()["0.weight"].shape[0] == 4
    assert not cbam.channel.max_pool
    assert isinstance(build.attention_factory(None)(8), nn.Identity)


@pytest.mark.parametrize(
    ("attention", "channels", "parameters"),
    [
        (spec.ECA(), 32, 3),
        (spec.ECA(), 256, 5),
        (spec.ECA(), 2048, 7),
        (spec.ECA(kernel_size=9), 32, 9),
        (spec.GatherExcite(), 32, 0),
        (spec.GatherExcite(extent=4), 32, 0),
        # Attention weights; 1x1 to 2 channels, norm, 1x1 to 32 channels.
        (spec.GlobalContext(), 32, 33 + 66 + 4 + 96),
        (spec.GlobalContext(reduction=8, fusion="scale"), 32, 33 + 132 + 8 + 160),
    ],
)
def test_rivals_have_their_parameters(attention, channels, parameters):
    pytest.importorskip("timm")
    module = build.build_attention(attention, channels)
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters
    x = torch.randn(2, channels, 8, 8)
    assert module(x).shape == x.shape


def test_rivals_compute_what_they_are_known_for():
    """Gates from means, over the whole map and over 7x7 pixels; a context that begins at 0."""
    pytest.importorskip("timm")
    x = torch.randn(2, 4, 8, 8)
    whole = build.build_attention(spec.GatherExcite(), 4)
    torch.testing.assert_close(whole(x), x * x.mean((2, 3), keepdim=True).sigmoid())
    near = build.build_attention(spec.GatherExcite(extent=4), 4)
    torch.testing.assert_close(
        near(x)[:, :, 4:, 4:],
        x[:, :, 4:, 4:] * x[:, :, 1:, 1:].mean((2, 3), keepdim=True).sigmoid(),
    )
    eca = build.build_attention(spec.ECA(kernel_size=1), 4)
    weight = eca.get_parameter("conv.weight").flatten()
    torch.testing.assert_close(eca(x), x * (weight * x.mean((2, 3), keepdim=True)).sigmoid())
    network = build.network(digits(resnet(depth=18, attention=spec.GlobalContext())))
    plain = build.network(digits(resnet(depth=18)))
    grey = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(network.eval()(grey), plain.eval()(grey))


@pytest.mark.parametrize("kind", [spec.ECA, spec.GatherExcite, spec.GlobalContext])
def test_rivals_need_timm(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "timm.layers", None)
    message = r"^model layer1\.0\.attention: timm\.layers cannot be imported .* 'awlab\[zoo\]'$"
    with pytest.raises(InputError, match=message):
        build.network(digits(resnet(attention=kind())))


def test_resnet_settings_arrive():
    network = build.network(
        digits(resnet(depth=18, conv=spec.AWConvolution(), conv_stages=(4,), width=2))
    )
    names = [name for name, layer in network.named_modules() if isinstance(layer, AWConv2d)]
    assert {name[:6] for name in names} == {"layer4"}
    assert network.state_dict()["fc.weight"].shape == (10, 16)


def test_self_attention_settings_arrive():
    attention = spec.SelfAttention(
        heads=2,
        key_ratio=0.25,
        value_ratio=0.125,
        min_key_dims_per_head=3,
        qkv_kernel_size=1,
        relative=False,
    )
    network = build.network(
        digits(spec.AAWideResNet(depth=10, width=1, dropout=0.3, self_attention=attention))
    )
    layers = [m for m in network.modules() if isinstance(m, AttentionAugmentedConv2d)]
    assert [(m.heads, m.key_dims, m.value_dims, m.image_size) for m in layers] == [
        (2, 6, 2, None),
        (2, 8, 4, None),
        (2, 16, 8, None),
    ]
    assert layers[0].qkv_conv.state_dict()["weight"].shape[2:] == (1, 1)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.3] * 3


def zoo(kind: type[spec.Torchvision | spec.Timm] = spec.Torchvision, **convert) -> spec.Model:
    name = "squeezenet1_1" if kind is spec.Torchvision else "mobilenetv3_small_050"
    if not convert:
        return kind(name=name)
    return kind(name=name, convert=spec.Conversion(conv=spec.AWConvolution(), **convert))


PATCHES = {"data": spec.PhotoPatches()}


@pytest.mark.parametrize("kind", [spec.Torchvision, spec.Timm])
def test_variants_of_a_network_of_a_library_share_its_weights(kind):
    """Also the attention of layers that both convert, in whatever order they are built."""

    def weights(model: spec.Model, seed: int = 0) -> dict[str, Tensor]:
        return build.network(digits(model, seed).model_copy(update=PATCHES)).state_dict()

    plain, some, all_ = (weights(zoo(kind, **c)) for c in ({}, {"every": 3}, {"where": "*"}))
    assert len(plain) < len(some) < len(all_)
    for variant, other in ((plain, some), (some, all_)):
        for name, values in variant.items():
            assert torch.equal(values, other[name]), name
    reseeded = weights(zoo(kind, every=3), seed=1)
    drawn = [name for name in some if name.endswith("attention.0.weight")]
    assert drawn
    assert not any(torch.equal(some[name], reseeded[name]) for name in drawn)


def test_conversion_settings_arrive():
    convert = {"where": "features.*", "kernel_size": 3, "every": 2, "start": "identity"}
    network = build.network(digits(zoo(**convert)).model_copy(update=PATCHES))
    layers = {n: layer for n, layer in network.named_modules() if isinstance(layer, AWConv2d)}
    assert list(layers)[:2] == ["features.0", "features.4.expand3x3"]
    assert {layer.kernel_size for layer in layers.values()} == {(3, 3)}
    assert not layers["features.0"].get_parameter("attention.4.weight").any()


def test_a_pretrained_network_is_asked_for(monkeypatch):
    asked = []

    def pretend(name: str, **settings) -> nn.Module:
        asked.append((name, settings))
        return nn.Conv2d(3, 10, 1)

    monkeypatch.setattr(build, "torchvision_network", pretend)
    model = spec.Torchvision(name="any", pretrained=True)
    build.network(digits(model).model_copy(update=PATCHES))
    assert asked == [("any", {"num_classes": 10, "channels": 3, "pretrained": True})]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            spec.Torchvision(name="squeezenet1_1"),
            r"^model: networks of torchvision take images of 3 channels, not 1$",
        ),
        (
            spec.Timm(
                name="mobilenetv3_small_050",
                convert=spec.Conversion(where="x", conv=spec.AWConvolution()),
            ),
            r"^model: where \(='x'\) matches no convolution; there are conv_stem \(3x3\), ",
        ),
        (
            resnet(conv=spec.AWConvolution(expand={"c1": 3})),
            r"^model layer1\.0\.conv2: expand ratio of c1 \(=3\) must divide its size \(=4\)",
        ),
        (
            AUGMENTED.model_copy(
                update={
                    "aw": spec.AWInAA(position=2, conv=spec.AWConvolution(expand={"c1": 32})),
                }
            ),
            r"^model layer1\.0\.conv1\.qkv_conv: expand ratio of c1 \(=32\)",
        ),
        (
            spec.ResNet.model_construct(depth=20),
            r"^model: depth \(=20\) must be one of 18, 34, 50, 101, 152$",
        ),
    ],
)
def test_says_which_layer_does_not_fit(model, message):
    experiment = digits(resnet()).model_copy(update={"model": model})
    with pytest.raises(InputError, match=message):
        build.network(experiment)


def test_tells_how_to_build_a_kind_that_nobody_registered(monkeypatch):
    monkeypatch.setattr(spec.Model, "members", dict(spec.Model.members))

    class Unbuilt(spec.Model):
        kind: Literal["unbuilt"] = "unbuilt"

    message = (
        r"^nothing builds Unbuilt \(kind 'unbuilt'\): register a function for it with "
        r"@awlab\.build\.build_model\.register in the plugin that declares it$"
    )
    with pytest.raises(TypeError, match=message):
        build.network(digits(Unbuilt()))


def images_of(spec: spec.Data, root: Path):
    return build.build_data(spec, root=root, batch_size=7, seed=3, workers=0, download=False)


def test_cifar_settings_arrive(small_cifar100):
    found = spec.CIFAR(
        kind="cifar100",
        validation_fraction=0.2,
        augmentation=spec.Augmentation(crop_padding=4, rotation=15.0),
    )
    data = images_of(found, small_cifar100)
    assert (data.num_classes, data.train_size) == (100, 320)
    assert data.augment == Augment(crop_padding=4, horizontal_flip=True, rotation=15.0)


def test_digits_settings_arrive(tmp_path):
    data = images_of(
        spec.Digits(
            validation_fraction=0.5,
            split_seed=1,
            augmentation=spec.Augmentation(crop_padding=2, horizontal_flip=False, rotation=5.0),
        ),
        tmp_path,
    )
    assert (data.batch_size, data.seed, data.workers) == (7, 3, 0)
    assert (data.num_classes, data.train_size) == (10, 719)
    assert data.augment == Augment(crop_padding=2, horizontal_flip=False, rotation=5.0)
    other = images_of(spec.Digits(validation_fraction=0.5, split_seed=2), tmp_path)
    assert not torch.equal(data.image_set.train.labels, other.image_set.train.labels)


def test_photo_patches_settings_arrive(tmp_path):
    found = spec.PhotoPatches(train_patches=30, validation_patches=20, test_patches=10)
    first, second = (
        images_of(found.model_copy(update={"split_seed": seed}), tmp_path).image_set
        for seed in (0, 1)
    )
    assert [len(split.labels) for split in (first.train, first.val, first.test)] == [30, 20, 10]
    assert not torch.equal(first.train.read(range(30)), second.train.read(range(30)))


def test_image_folder_settings_arrive(small_image_folder):
    found = spec.ImageFolder(
        folder="pets",
        classes=3,
        size=8,
        resize=12,
        validation_fraction=0.25,
        mean=(0.1, 0.2, 0.3),
        augmentation=spec.FolderAugmentation(
            scale=(0.5, 0.9), ratio=(1.0, 1.0), horizontal_flip=False
        ),
    )
    data = images_of(found, small_image_folder)
    assert (data.train_size, data.mean) == (18, (0.1, 0.2, 0.3))
    assert data.class_names == ("cat", "dog", "fox")
    assert data.augment == Augment()
    assert isinstance(data.image_set.train, ImageFiles)
    assert data.image_set.train.crops == Crops(8, 12, (0.5, 0.9), (1.0, 1.0))
    assert next(iter(data.val_dataloader()))[0].shape == (6, 3, 8, 8)


@pytest.mark.parametrize(
    ("found", "folder"),
    [
        (spec.CIFAR(kind="cifar10"), "cifar-10-batches-py"),
        (spec.CIFAR(kind="cifar100"), "cifar-100-python"),
        (spec.ImageFolder(folder="pets", classes=2), "pets"),
    ],
)
def test_missing_images_are_bad_input(tmp_path, found, folder):
    with pytest.raises(InputError, match=re.escape(str(tmp_path / folder))):
        images_of(found, tmp_path)
