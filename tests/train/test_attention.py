import json

import pytest
import torch
from PIL import Image

from awlab import build
from awlab.attention_maps import attention_of_layers
from awlab.report.attention import LIST, SHEET, read_attention
from awlab.spec import SGD, AWConvolution, Digits, Experiment, ResNet, Training
from awlab.train.attention import MOST_IMAGES, choose_images, write_attention


def experiment(conv):
    return Experiment(
        name="tiny",
        model=ResNet(depth=18, width=2, stem="cifar", conv=conv),
        data=Digits(),
        training=Training(epochs=1, batch_size=8, optimizer=SGD(lr=0.1)),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return build.build_data(
        Digits(), root=tmp_path_factory.mktemp("d"), batch_size=8, seed=0, workers=0, download=False
    )


@pytest.fixture(scope="module")
def network():
    return build.network(experiment(AWConvolution(kind="aw")))


def test_what_is_written_is_read_back(network, data, tmp_path):
    layers = write_attention(network, data, tmp_path, title="tiny-run")
    found = read_attention(tmp_path)
    assert found is not None
    assert (found.images, list(found.classes)) == (200, list(data.class_names))
    assert [one.layer for one in found.layers] == [one.layer for one in layers]
    assert found.layers[0].mean == pytest.approx(layers[0].mean, rel=1e-3)
    indices, classes = choose_images(data.test_labels)
    _, inputs, labels = data.test_images(indices)
    expected = attention_of_layers(network, inputs, labels, classes)
    assert [one.by_class for one in layers] == [one.by_class for one in expected]
    with Image.open(tmp_path / SHEET) as sheet:
        assert sheet.width > 1000
    assert (tmp_path / LIST).stat().st_size < 100_000


def test_without_an_aw_convolution_what_was_there_is_removed(data, tmp_path):
    for name in (SHEET, LIST):
        (tmp_path / name).touch()
    plain = build.network(experiment(None))
    assert write_attention(plain, data, tmp_path, title="tiny") == []
    assert list(tmp_path.iterdir()) == []


def test_images_are_spread_over_the_classes():
    labels = torch.arange(5000) % 100
    indices, classes = choose_images(labels)
    assert len(indices) == MOST_IMAGES
    assert classes == list(range(0, 100, 5))
    assert labels[indices].unique(return_counts=True)[1].tolist() == [10] * 20
    assert indices[:2] == [0, 100]


def test_classes_with_few_images_have_fewer():
    indices, classes = choose_images(torch.tensor([3, 1, 3]))
    assert (indices, classes) == ([1, 0, 2], [1, 3])


def test_without_images_nothing_is_written(network, data, tmp_path, monkeypatch):
    monkeypatch.setattr(type(data), "test_labels", torch.zeros(0, dtype=torch.int64))
    assert choose_images(data.test_labels) == ([], [])
    assert write_attention(network, data, tmp_path, title="tiny") == []
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_short(network, data, tmp_path):
    write_attention(network, data, tmp_path, title="tiny")
    document = json.loads((tmp_path / LIST).read_text())
    assert all(len(repr(value)) <= 10 for value in document["layers"][0]["histogram"])
