import pytest

from awlab.data.errors import DataError
from awlab.data.voc_file import read_voc_file

LABELS = {"dog": 1, "person": 2}
REAL = """<annotation>
  <folder>VOC2012</folder><filename>2008_000027.jpg</filename>
  <source><database>The VOC2008 Database</database></source>
  <size><width>500</width><height>375</height><depth>3</depth></size>
  <segmented>0</segmented>
  <object>
    <name>person</name><pose>Unspecified</pose><truncated>0</truncated>
    <difficult>0</difficult>
    <bndbox><xmax>471</xmax><xmin>45.5</xmin><ymax>375</ymax><ymin>1</ymin></bndbox>
    <part><name>head</name>
      <bndbox><xmin>100</xmin><ymin>100</ymin><xmax>120</xmax><ymax>120</ymax></bndbox>
    </part>
  </object>
  <object>
    <name> dog </name><difficult> 1 </difficult>
    <bndbox><xmin>8</xmin><ymin>12</ymin><xmax>52</xmax><ymax>117</ymax></bndbox>
  </object>
</annotation>
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "2008_000027.xml"
    path.write_text(REAL)
    return path


def test_pixels_are_counted_from_zero_and_corners_are_edges(file):
    size, objects = read_voc_file(file, LABELS, image_id=27)
    assert size == (500, 375)
    assert objects["boxes"].tolist() == [[44.5, 0, 471, 375], [7, 11, 52, 117]]
    assert objects["labels"].tolist() == [2, 1]
    assert objects["iscrowd"].tolist() == [0, 1]
    assert objects["area"].tolist() == [426.5 * 375, 45 * 106]
    assert objects["image_id"] == 27


def test_an_image_without_objects(file):
    file.write_text(REAL[: REAL.index("  <object>")] + "</annotation>")
    _, objects = read_voc_file(file, LABELS, image_id=0)
    assert objects["boxes"].shape == (0, 4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</annotation>", "", "is damaged or not XML: no element found"),
        ("<name>person", "<name>cat", "has an object of the class 'cat', which is not in data.cl"),
        ("<name>person</name>", "", "has an element 'object' without name"),
        ("<xmin>8</xmin>", "", "has an element 'object' without bndbox/xmin"),
        ("<width>500</width>", "", "has an element 'annotation' without size/width"),
        ("<xmin>8", "<xmin>eight", "object/bndbox/xmin must be a number, not 'eight'"),
        ("<xmin>8", "<xmin>nan", "object/bndbox/xmin must be a number, not 'nan'"),
    ],
)
def test_damage_is_named(file, old, new, message):
    file.write_text(REAL.replace(old, new, 1))
    with pytest.raises(DataError, match=rf"2008_000027\.xml:? {message}"):
        read_voc_file(file, LABELS, image_id=0)


def test_files_that_blow_up_are_refused(file):
    entities = "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY a0 "haha">{entities}]><annotation>&a11;</annotation>'
    file.write_text(bomb)
    with pytest.raises(DataError, match="is damaged or not XML: limit on input amplification"):
        read_voc_file(file, LABELS, image_id=0)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"the annotation file .*gone\.xml is missing"):
        read_voc_file(tmp_path / "gone.xml", LABELS, image_id=0)
