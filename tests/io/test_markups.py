import json

import pytest

from hepatic.errors import BadInputError
from hepatic.io.markups import ROI, encode_rois, read_rois

BOX = (-10.0, -20.0, -30.0, 10.0, 5.0, -10.0)


def saved(tmp_path, *rois):
    file = tmp_path / "boxes.json"
    file.write_bytes(encode_rois(rois))
    return file


def edited(tmp_path, **changes):
    """A file with one ROI, some of whose entries are other ones; an entry that becomes None is left out."""
    content = json.loads(encode_rois([ROI(BOX)]))
    markup = {**content["markups"][0], **changes}
    content["markups"] = [{name: value for name, value in markup.items() if value is not None}]
    file = tmp_path / "boxes.mrk.json"
    file.write_text(json.dumps(content))
    return file


def test_boxes_come_back_as_they_were_written_with_what_is_known_of_them(tmp_path):
    rois = [ROI(BOX, "lesion 0.87", {"candidate": "2.25.7", "score": 0.87}), ROI((0, 0, 0, 1, 2, 3))]
    assert read_rois(saved(tmp_path, *rois)) == rois


def test_no_boxes_are_a_file_too(tmp_path):
    assert read_rois(saved(tmp_path)) == []


@pytest.mark.parametrize("system", ["RAS", 0])
def test_a_file_in_ras_is_turned_into_lps(tmp_path, system):
    (roi,) = read_rois(edited(tmp_path, coordinateSystem=system, center=[1, 2, 3], size=[2, 2, 2]))
    assert roi.box == (-2, -3, 2, 0, -1, 4)


def test_a_turned_roi_becomes_the_box_around_it(tmp_path):
    quarter = [0, -1, 0, 1, 0, 0, 0, 0, 1]
    (roi,) = read_rois(edited(tmp_path, center=[0, 0, 0], size=[2, 4, 6], orientation=quarter))
    assert roi.box == (-2, -1, -3, 2, 1, 3)
    eighth = [0.5**0.5, -(0.5**0.5), 0, 0.5**0.5, 0.5**0.5, 0, 0, 0, 1]
    (roi,) = read_rois(edited(tmp_path, center=[0, 0, 0], size=[2, 2, 2], orientation=eighth))
    assert roi.box == pytest.approx((-(2**0.5), -(2**0.5), -1, 2**0.5, 2**0.5, 1))


def test_an_roi_whose_description_a_person_wrote_has_only_its_box(tmp_path):
    points = [{"label": "R-1", "description": "looks [odd", "position": [0, 0, 0]}]
    (roi,) = read_rois(edited(tmp_path, controlPoints=points))
    assert (roi.box, roi.label, roi.about) == (BOX, "R-1", {})


def test_points_and_lines_beside_the_rois_are_passed_over(tmp_path):
    file = saved(tmp_path, ROI(BOX))
    content = json.loads(file.read_bytes())
    content["markups"].insert(0, {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": []})
    file.write_text(json.dumps(content))
    assert [roi.box for roi in read_rois(file)] == [BOX]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"center": None, "controlPoints": []}, "centre"),
        ({"size": None}, "size"),
        ({"size": [1, 0, 1]}, "extent"),
        ({"center": [0, 0, float("nan")]}, "3 numbers"),
        ({"center": "012"}, "3 numbers"),
        ({"orientation": [1, 0]}, "9 numbers"),
        ({"coordinateSystem": "IJK"}, "LPS or RAS"),
        ({"coordinateUnits": "cm"}, "millimetres"),
    ],
)
def test_an_roi_whose_place_is_not_known_is_refused_not_guessed(tmp_path, changes, said):
    with pytest.raises(BadInputError, match=said):
        read_rois(edited(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "[]", "3", '{"markups": 3}', '{"markups": [3]}', "{" * 100_000, '{"a": 1}'])
def test_what_is_no_markups_file_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(BadInputError, match="a markups file of 3D Slicer"):
        read_rois(tmp_path / "x.json")


@pytest.mark.parametrize("box", [(0, 0, 0, 0, 1, 1), (0, 0, 0, 1, 1, -1), (0, 0, 0, 1, 1, float("nan")), (0, 0, 0, 1)])
def test_a_box_that_is_none_is_not_written(box):
    with pytest.raises(BadInputError, match="box 1"):
        encode_rois([ROI(box)])
