"""Text in the pixels: found, masked, and gone from the copy."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont

from hepatic.errors import BadInputError
from hepatic.io.burnt_in import burnt_in, masked_copy, propose_mask, with_boxes
from hepatic.io.dicom import read_header
from hepatic.io.read import read
from hepatic.io.ultrasound import to_grey
from hepatic.io.us_region import Region
from sample_data import ceus, us
from sample_data.ceus.show import screen_of as cine_screen
from sample_data.us.still import screen_of
from sample_data.us.write import write_us
from tests.io.conftest import CT, US_CINE, XA
from tests.io.test_dicom_cine import RUN

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
CAPTURE, MANY_CAPTURES = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.2"
COLOUR = np.zeros((1, 20, 20, 3), np.uint8)


@pytest.fixture(scope="module")
def still():
    return us.simulate(124, kind="fnh", size="small")


def written_on(picture, words: str, at: tuple[int, int], size: int = 11):
    """A picture with a text on it, and where."""
    canvas = Image.new("L", picture.shape[::-1])
    ImageDraw.Draw(canvas).text(at, words, fill=205, font=ImageFont.load_default(size=size))
    text = np.array(canvas)
    return np.where(text > 60, text, picture), text > 60


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"sop_class": US_CINE, "modality": "US", "BurnedInAnnotation": "YES"}, "yes"),
        ({"sop_class": US_CINE, "modality": "US", "BurnedInAnnotation": "NO"}, "no"),
        ({"sop_class": US_CINE, "modality": "US"}, "unknown"),
        ({"sop_class": US_CINE, "modality": "US", "BurnedInAnnotation": "MAYBE"}, "unknown"),
        ({"sop_class": XA, "modality": "XA"}, "no"),
        ({"sop_class": XA, "modality": "XA", "BurnedInAnnotation": "YES"}, "yes"),
        ({"sop_class": CT, "modality": "CT"}, "no"),
        ({"sop_class": CT, "modality": "CT", "ConversionType": "WSD"}, "unknown"),
        ({"sop_class": CAPTURE, "modality": "CT"}, "unknown"),
        ({"sop_class": CAPTURE, "modality": "XA"}, "unknown"),
        ({"sop_class": CAPTURE, "modality": "CT", "BurnedInAnnotation": "NO"}, "no"),
        ({"sop_class": MANY_CAPTURES, "modality": "MR"}, "unknown"),
        ({"sop_class": CT, "modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}, "no"),
        ({"sop_class": CT, "modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "no"),
        ({"sop_class": CT, "modality": "CT", "ImageType": ["DERIVED", "PRIMARY", "LOCALIZER"]}, "unknown"),
        ({"sop_class": CT, "modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, "unknown"),
        ({"sop_class": CT, "modality": "CT", "ImageType": ["DERIVED", "SECONDARY"], "BurnedInAnnotation": "NO"}, "no"),
        ({"sop_class": CT, "modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "SCREEN SAVE"]}, "unknown"),
        ({"sop_class": CT, "modality": "CT", "ImageType": ["DERIVED", "PRIMARY", "DOSE_INFO"]}, "unknown"),
        ({"sop_class": CT, "modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "OTHER", "CT_SOM5 PROT"]}, "unknown"),
        ({"sop_class": CT, "modality": "CT", "SeriesDescription": "Dose Report"}, "unknown"),
        ({"sop_class": CT, "modality": "CT", "SeriesDescription": "Liver low dose 2.0"}, "no"),
        (
            {"sop_class": CT, "modality": "CT", "SeriesDescription": "Screen Save", "BurnedInAnnotation": "NO"},
            "unknown",
        ),
        ({"sop_class": CT, "modality": "CT", "RecognizableVisualFeatures": "YES"}, "unknown"),
        (
            {"sop_class": CT, "modality": "CT", "RecognizableVisualFeatures": "YES", "BurnedInAnnotation": "NO"},
            "unknown",
        ),
        ({"sop_class": CT, "modality": "CT", "RecognizableVisualFeatures": "NO"}, "no"),
    ],
)
def test_what_a_header_says(make_dicom, elements, said: str) -> None:
    assert burnt_in(read_header(make_dicom(RUN, **elements))) == said


def test_a_colour_picture_that_says_nothing_is_unknown(make_dicom) -> None:
    assert burnt_in(read_header(make_dicom(COLOUR, sop_class=CAPTURE, modality="XA"))) == "unknown"
    assert burnt_in(read_header(FILES / "examples_ybr_color.dcm")) == "unknown"


def test_everything_around_the_fan_goes_and_nothing_of_the_fan(still) -> None:
    screen = screen_of(still, patient_id="US00124")
    mask = propose_mask(screen.pixels)
    (region,) = screen.regions
    x0, y0, x1, y1 = region.box
    fan = np.zeros_like(mask)
    fan[y0 : y1 + 1, x0 : x1 + 1] = still.panel.fan
    assert mask[screen.burnt_in & ~fan].all()
    left, top, right, bottom = screen.banner
    assert mask[top:bottom, left:right].all()
    assert mask[fan].mean() < 0.002


def test_a_lossy_compression_hides_no_banner(still) -> None:
    screen = screen_of(still, patient_id="US00124")
    packed = BytesIO()
    Image.fromarray(screen.pixels[0]).save(packed, "JPEG", quality=60)
    mask = propose_mask(np.array(Image.open(packed))[None])
    assert mask[screen.burnt_in & propose_mask(screen.pixels)].all()
    assert mask.mean() == pytest.approx(propose_mask(screen.pixels).mean(), abs=0.03)


@pytest.mark.parametrize("colour", [True, False])
def test_the_clock_of_a_cine_goes_on_every_frame(colour: bool) -> None:
    cine = ceus.simulate(36, np.array([2.0, 14, 20, 26, 40, 60, 90, 120]), label="hcc", size="small")
    screen = cine_screen(cine, ceus.Style(colour, True, False), patient_id="CEUS00036")
    mask = propose_mask(to_grey(screen.pixels, 8))
    assert mask[screen.burnt_in].all()
    for region in screen.regions:
        x0, y0, x1, y1 = region.box
        fan = ~mask[y0 : y1 + 1, x0 : x1 + 1] & cine.panel.fan
        assert fan.sum() > 0.9 * cine.panel.fan.sum()
        assert fan[cine.mask].all()


@pytest.mark.parametrize("at", [(200, 150), (240, 250)])
def test_a_text_on_the_tissue_is_found(still, at: tuple[int, int]) -> None:
    screen = screen_of(still, patient_id="US00124")
    picture, text = written_on(screen.pixels[0], "ZHANG S7 34mm", at)
    mask = propose_mask(picture[None])
    assert mask[text].mean() > 0.97
    assert (mask & ~propose_mask(screen.pixels)).sum() < 8 * text.sum()


def test_a_text_on_the_contrast_is_found_because_it_stays() -> None:
    cine = ceus.simulate(36, np.arange(14.0, 24), label="hcc", size="tiny")
    screen = cine_screen(cine, ceus.Style(False, False, False), patient_id="P")
    pixels = screen.pixels.copy()
    for frame in pixels:
        frame[:], text = written_on(frame, "WANG LI", (70, 90))
    assert propose_mask(pixels)[text].mean() > 0.97


def test_where_nothing_is_known_to_be_an_image_everything_goes() -> None:
    picture, text = written_on(np.zeros((120, 160), np.uint8), "NAME", (20, 20))
    assert text.any()
    assert propose_mask(picture[None]).all()


@pytest.mark.parametrize(
    ("name", "texts", "image"),
    [
        ("examples_palette.dcm", np.s_[:58], np.s_[80:140, 420:500]),  # a banner with a name and a date on blue
        ("examples_ybr_color.dcm", np.s_[222:], np.s_[60:160, 120:200]),  # a bar with keys below
        ("examples_jpeg2k.dcm", np.s_[:92], np.s_[170:270, 120:500]),  # blocks of text on black
    ],
)
def test_banners_of_real_scanners_go_and_their_images_stay(name: str, texts, image) -> None:
    cine = read(FILES / name)
    mask = propose_mask(to_grey(cine.frames, 8), cine.regions)
    assert mask[texts].all()
    assert mask[image].mean() < 0.02


def test_what_is_outside_of_the_declared_regions_goes(still) -> None:
    screen = screen_of(still, patient_id="US00124")
    x0, y0, x1, y1 = screen.regions[0].box
    half = Region((y0, x0, y1 + 1, (x0 + x1) // 2), (0.5, 0.5))
    seen, declared = propose_mask(screen.pixels), propose_mask(screen.pixels, [half])
    assert declared[:, half.box[3] :].all()
    assert (declared[half.window] == seen[half.window]).all()
    stale = replace(half, is_stale=True)
    assert (propose_mask(screen.pixels, [stale]) == seen).all()


def test_a_copy_has_no_text_and_says_so(tmp_path: Path, dicom_errors) -> None:
    (file,) = write_us(tmp_path, 1, seed=5, size="tiny")
    before = read(file)
    mask = propose_mask(before.frames)
    masked_copy(file, mask, [(100, 80, 110, 90)], tmp_path / "copy.dcm")
    after, header = read(tmp_path / "copy.dcm"), read_header(tmp_path / "copy.dcm")
    out = with_boxes(mask, [(100, 80, 110, 90)])
    assert (after.frames[:, out] == 0).all()
    assert (after.frames[:, ~out] == before.frames[:, ~out]).all()
    assert after.regions == before.regions
    assert burnt_in(header) == "no"
    ds, source = header.dataset, read_header(file).dataset
    assert ds.SOPInstanceUID != source.SOPInstanceUID
    assert ds.SeriesInstanceUID == source.SeriesInstanceUID
    assert ds.ImageType[0] == "DERIVED"
    assert dicom_errors(tmp_path / "copy.dcm") == []


def test_a_compressed_colour_cine_is_copied_whole(tmp_path: Path) -> None:
    """A real one, in JPEG and YBR."""
    file = FILES / "examples_ybr_color.dcm"
    before = read(file)
    mask = propose_mask(to_grey(before.frames, 8))
    masked_copy(file, mask, [], tmp_path / "copy.dcm")
    after = read(tmp_path / "copy.dcm")
    assert after.frames.shape == before.frames.shape
    assert (after.frames[:, ~mask] == before.frames[:, ~mask]).all()
    assert after.frame_times_ms.tolist() == before.frame_times_ms.tolist()


def test_a_palette_becomes_colours(tmp_path: Path) -> None:
    file = FILES / "examples_palette.dcm"
    before = read(file)
    mask = np.zeros(before.frames.shape[1:3], bool)
    masked_copy(file, mask, [(0, 0, 50, 20)], tmp_path / "copy.dcm")
    after = read(tmp_path / "copy.dcm")
    assert (after.frames[:, 20:] == before.frames[:, 20:]).all()
    assert (after.frames[:, :20, :50] == 0).all()


def test_a_picture_in_big_endian_is_refused(tmp_path: Path) -> None:
    """A real one; its elements would have to be turned round one by one."""
    file = FILES / "ExplVR_BigEnd.dcm"
    mask = np.zeros(read(file).frames.shape[1:3], bool)
    with pytest.raises(BadInputError, match="little endian"):
        masked_copy(file, mask, [], tmp_path / "copy.dcm")
    assert not (tmp_path / "copy.dcm").exists()


def test_a_wrong_mask_is_refused(tmp_path: Path, make_dicom) -> None:
    file = make_dicom(RUN, sop_class=US_CINE, modality="US")
    with pytest.raises(BadInputError, match="the mask"):
        masked_copy(file, np.zeros((3, 3), bool), [], tmp_path / "copy.dcm")
    with pytest.raises(BadInputError, match="the box"):
        with_boxes(np.zeros((50, 70), bool), [(0, 0, 71, 10)])
    deep = make_dicom(RUN.astype(np.uint16), "deep.dcm", sop_class=US_CINE, modality="US")
    with pytest.raises(BadInputError, match="8 bits"):
        masked_copy(deep, np.zeros((50, 70), bool), [], tmp_path / "copy.dcm")
