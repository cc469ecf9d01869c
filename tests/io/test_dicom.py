"""One DICOM file."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from hepatic.errors import BadInputError
from hepatic.io.image import Cine, Volume
from hepatic.io.read import read
from hepatic.io.refusal import NotAnImageError

CT = "1.2.840.10008.5.1.4.1.1.2"
US = "1.2.840.10008.5.1.4.1.1.6.1"
CORPUS = Path(pydicom.__file__).parent / "data" / "test_files"
RAMP = np.arange(2 * 5 * 7, dtype=np.uint8).reshape(2, 5, 7)


def test_an_xa_run_is_a_cine_as_it_was_stored(make_dicom) -> None:
    run = read(make_dicom(RAMP))
    assert isinstance(run, Cine)
    assert run.modality == "XA"
    np.testing.assert_array_equal(run.frames, RAMP)


def test_one_xa_frame_is_a_cine_too(make_dicom) -> None:
    assert read(make_dicom(RAMP[:1])).frames.shape == (1, 5, 7)


def test_fluoroscopy_counts_as_xa(make_dicom) -> None:
    run = read(make_dicom(RAMP, sop_class="1.2.840.10008.5.1.4.1.1.12.2", modality="RF"))
    assert run.modality == "XA"


def test_a_ct_slice_is_a_volume_in_hu(make_dicom) -> None:
    stored = np.array([[[0, 1024, 2048]]], np.uint16)
    path = make_dicom(stored, sop_class=CT, modality="CT", RescaleSlope=1, RescaleIntercept=-1024)
    volume = read(path)
    assert isinstance(volume, Volume)
    assert volume.array.dtype == np.int16
    assert volume.array.tolist() == [[[-1024, 0, 1024]]]


def test_a_broken_slope_gives_float32(make_dicom) -> None:
    path = make_dicom(np.array([[[0, 3]]], np.uint16), sop_class=CT, modality="CT", RescaleSlope=0.5)
    assert read(path).array.dtype == np.float32
    assert read(path).array.tolist() == [[[0.0, 1.5]]]


def test_a_rescale_that_overflows_int16_gives_float32(make_dicom) -> None:
    path = make_dicom(np.array([[[0, 60000]]], np.uint16), sop_class=CT, modality="CT", RescaleIntercept=-1024)
    assert read(path).array.tolist() == [[[-1024.0, 58976.0]]]


def _transform(slope: float, intercept: float) -> pydicom.Dataset:
    group, line = pydicom.Dataset(), pydicom.Dataset()
    line.RescaleSlope, line.RescaleIntercept = slope, intercept
    group.PixelValueTransformationSequence = [line]
    return group


def test_an_enhanced_file_says_its_rescale_once_or_per_frame(make_dicom) -> None:
    stored, kind = np.ones((2, 1, 1), np.uint16), {"sop_class": CT + ".1", "modality": "CT"}
    once = make_dicom(stored, "a.dcm", **kind, SharedFunctionalGroupsSequence=[_transform(2, -1000)])
    groups = [_transform(1, -1000), _transform(2, 5)]
    each = make_dicom(stored, "b.dcm", **kind, PerFrameFunctionalGroupsSequence=groups)
    assert read(once).array.ravel().tolist() == [-998, -998]
    assert read(each).array.ravel().tolist() == [-999, 7]


def test_monochrome1_is_inverted_within_its_bits(make_dicom) -> None:
    stored = np.array([[[0, 1023]]], np.uint16)
    run = read(make_dicom(stored, PhotometricInterpretation="MONOCHROME1", BitsStored=10, HighBit=9))
    assert run.frames.tolist() == [[[1023, 0]]]
    assert run.bits_stored == 10


def test_signed_monochrome1_is_inverted_around_minus_one_half(make_dicom) -> None:
    run = read(make_dicom(np.array([[[-128, 127]]], np.int8), PhotometricInterpretation="MONOCHROME1"))
    assert run.frames.tolist() == [[[127, -128]]]


def test_hu_are_never_inverted(make_dicom) -> None:
    path = make_dicom(
        np.array([[[1, 2]]], np.int16), sop_class=CT, modality="CT", PhotometricInterpretation="MONOCHROME1"
    )
    assert read(path).array.tolist() == [[[1, 2]]]


def test_an_overlay_above_the_stored_bits_is_dropped(make_dicom) -> None:
    run = read(make_dicom(np.array([[[0x8005, 0x0FFF]]], np.uint16), BitsStored=12, HighBit=11))
    assert run.frames.tolist() == [[[5, 0xFFF]]]


def test_the_sign_survives_fewer_stored_bits(make_dicom) -> None:
    stored = np.array([[[0x0FFF, 0x07FF]]], np.uint16)
    path = make_dicom(stored, sop_class=CT, modality="CT", BitsStored=12, HighBit=11, PixelRepresentation=1)
    assert read(path).array.tolist() == [[[-1, 2047]]]


def test_colour_is_rgb(make_dicom) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    run = read(make_dicom(colours, sop_class=US, modality="US"))
    np.testing.assert_array_equal(run.frames, colours)


def test_planar_colour_is_rgb_too(make_dicom) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    planes = np.ascontiguousarray(colours.transpose(0, 3, 1, 2))
    path = make_dicom(colours, sop_class=US, modality="US", PlanarConfiguration=1, PixelData=planes.tobytes())
    np.testing.assert_array_equal(read(path).frames, colours)


def test_ybr_becomes_rgb(make_dicom) -> None:
    grey = np.full((1, 2, 2, 3), 128, np.uint8)
    grey[..., 0] = 77
    path = make_dicom(grey, sop_class=US, modality="US", PhotometricInterpretation="YBR_FULL")
    assert np.abs(read(path).frames.astype(int) - 77).max() <= 1


def test_a_palette_becomes_eight_bit_rgb() -> None:
    run = read(CORPUS / "examples_palette.dcm")
    assert isinstance(run, Cine)
    assert (run.frames.shape, run.frames.dtype) == ((1, 350, 800, 3), np.uint8)


def test_big_endian_values_come_in_native_order() -> None:
    little, big = read(CORPUS / "MR_small.dcm").array, read(CORPUS / "MR_small_bigendian.dcm").array
    assert big.dtype.isnative
    np.testing.assert_array_equal(little, big)


@pytest.mark.parametrize("name", ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"])
def test_lossless_compression_changes_nothing(name: str) -> None:
    np.testing.assert_array_equal(read(CORPUS / f"{name}.dcm").array, read(CORPUS / "MR_small.dcm").array)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_a_compressed_run_equals_the_uncompressed(make_dicom, tmp_path: Path, syntax) -> None:
    noise = np.random.default_rng(1).integers(0, 4096, (3, 40, 64), dtype=np.uint16)
    dataset = pydicom.dcmread(make_dicom(noise, BitsStored=12, HighBit=11))
    dataset.compress(syntax)
    dataset.save_as(tmp_path / "packed.dcm")
    np.testing.assert_array_equal(read(tmp_path / "packed.dcm").frames, noise)


def test_a_header_promising_more_than_the_file_holds_is_refused(make_dicom) -> None:
    with pytest.raises(BadInputError, match="bytes of pixel data"):
        read(make_dicom(RAMP, Rows=60000, Columns=60000, NumberOfFrames=9000), max_pixels=2**62)


def test_an_image_above_the_limit_is_refused_before_it_is_decoded(make_dicom) -> None:
    with pytest.raises(BadInputError, match="at most 69 pixels"):
        read(make_dicom(RAMP), max_pixels=69)


def test_a_codestream_larger_than_its_header_is_refused(make_dicom) -> None:
    bomb = bytes.fromhex("ffd8ffc0000b08ffffffff01012200ffd9")
    path = make_dicom(RAMP[:1], PixelData=encapsulate([bomb]))
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.save_as(path)
    with pytest.raises(BadInputError, match="65535 x 65535"):
        read(path)


def test_fewer_frames_than_promised_are_refused(make_dicom, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(make_dicom(RAMP))
    dataset.compress(RLELossless)
    dataset.NumberOfFrames = 3
    dataset.save_as(tmp_path / "short.dcm")
    with pytest.raises(BadInputError):
        read(tmp_path / "short.dcm")


def test_a_jpeg_2000_box_that_leads_nowhere_is_refused(make_dicom) -> None:
    path = make_dicom(RAMP[:1])
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64)])
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.save_as(path)
    with pytest.raises(BadInputError, match="start with their size"):
        read(path)


def test_a_film_is_refused_by_name(make_dicom) -> None:
    path = make_dicom(RAMP)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([b"\0\0\0\1film"])
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.save_as(path)
    with pytest.raises(BadInputError, match=r"MPEG-4 AVC/H\.264"):
        read(path)


def test_a_header_without_pixels_is_a_broken_image(make_dicom) -> None:
    path = make_dicom(RAMP)
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.Rows = dataset.Columns = 2
    dataset.save_as(path)
    with pytest.raises(BadInputError, match="without pixel data") as caught:
        read(path)
    assert not isinstance(caught.value, NotAnImageError)


@pytest.mark.parametrize("implicit", [True, False])
def test_missing_preamble_and_meta_information_are_tolerated(make_dicom, tmp_path: Path, implicit: bool) -> None:
    dataset = pydicom.dcmread(make_dicom(RAMP))
    del dataset.file_meta
    pydicom.dcmwrite(tmp_path / "bare", dataset, implicit_vr=implicit, little_endian=True)
    np.testing.assert_array_equal(read(tmp_path / "bare").frames, RAMP)


@pytest.mark.filterwarnings("ignore:The pixel data is 70 bytes")
def test_pixels_beyond_the_promised_frames_are_left(make_dicom) -> None:
    assert read(make_dicom(RAMP, NumberOfFrames=1)).frames.shape == (1, 5, 7)


def test_a_deflated_file_is_inflated_no_further_than_its_header_says(make_dicom, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(CORPUS / "image_dfl.dcm")
    dataset.PixelData = bytes(300 << 20)
    dataset.save_as(tmp_path / "bomb.dcm")
    with pytest.raises(BadInputError, match="goes on"):
        read(tmp_path / "bomb.dcm")


def test_an_error_names_the_file_but_neither_its_folder_nor_the_patient(make_dicom, tmp_path: Path) -> None:
    path = make_dicom(RAMP, PatientName="Doe^Jane", Rows=60000)
    with pytest.raises(BadInputError) as caught:
        read(path)
    assert caught.value.what == "image.dcm"
    assert str(tmp_path) not in str(caught.value)
    assert "Jane" not in str(caught.value)
