"""Text that is part of the pixels: names, dates, settings. Whether there is any, where, and pictures without it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian
from scipy import ndimage

from hepatic.errors import BadInputError
from hepatic.io.dicom import DicomHeader, decode, read_header, whole_dataset
from hepatic.io.dicom_element import text
from hepatic.io.dicom_pixels import put_pixels
from hepatic.io.refusal import refusing
from hepatic.io.us_fans import dilated, find_fans, some_frames
from hepatic.io.us_region import Region

BurntIn = Literal["yes", "no", "unknown"]
Mask = NDArray[np.bool_]

_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"  # start of the SOP classes of secondary captures and of photographs (77)
_SCREENS = {"US", "OT", "XC", "SC", "ES", "GM"}  # modalities whose pictures are those of a screen or a camera
_PAGE = re.compile(
    r"SCREEN[ _]?(SAVE|SHOT|CAPTURE)|DOSE[ _]?(INFO|REPORT|RECORD|PAGE|SHEET|SUMMARY)|PATIENT(EN)?[ _]?PROTO[CK]OL"
)  # as scanners call them in ImageType or SeriesDescription
_MANY = 8  # frames, from which on what never changes is told
_STILL = 2  # grey values by which a text may change over a cine
_FROZEN = 0.1  # share of the images that may be still; a frozen cine is a still
_LIT = 90
_WINDOW = (11, 27)  # pixels, a few letters
_AROUND = 2  # pixels


def burnt_in(header: DicomHeader) -> BurntIn:
    """Return what a file says of text in its pixels.

    BurnedInAnnotation counts, but for pages that are pictures of a screen under a scanner's SOP class (dose pages,
    screen saves), and for what somebody could be recognised in (RecognizableVisualFeatures). Where it is absent,
    pictures of screens and cameras (ultrasound, all secondary captures, whatever is colour or was converted) and what
    was made of other images (ImageType SECONDARY, derived localizers) are unknown, and what detectors and scanners make
    (CT, MR, XA) has none.
    """
    dataset = header.dataset
    said = (text(dataset, "BurnedInAnnotation") or "").upper()
    if said == "YES":
        return "yes"
    kind = re.findall(r"[A-Z0-9][A-Z0-9_ ]*", (text(dataset, "ImageType") or "").upper())
    is_page = any(_PAGE.search(one) for one in (*kind, (text(dataset, "SeriesDescription") or "").upper()))
    is_page |= any(one == "DOSE" or one.endswith(" PROT") for one in kind)
    if is_page or (text(dataset, "RecognizableVisualFeatures") or "").upper() == "YES":
        return "unknown"
    if said == "NO":
        return "no"
    is_screen = header.kind == "cine" and text(dataset, "Modality") in (*_SCREENS, None)
    sop_class = text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID") or ""
    is_capture = sop_class.startswith(_CAPTURES) or "ConversionType" in dataset
    is_made = "SECONDARY" in kind or {"DERIVED", "LOCALIZER"} <= set(kind)
    return "unknown" if is_screen or is_capture or is_made or header.samples == 3 else "no"


def propose_mask(
    grey: NDArray[np.uint8], regions: Sequence[Region] = (), *, fans: Sequence[Mask] | None = None
) -> Mask:
    """Propose what to black out of an ultrasound picture, for a person to look at.

    All that is outside of the images (``find_fans``), and in them what looks like text. Where no image is found,
    everything. Text on the tissue of a still that was compressed with loss is missed: look.

    Args:
        grey: (F, H, W).
        regions: those the file declares; what is outside of them goes, too, unless they are stale.
        fans: the images, where they were found before.

    Returns:
        (H, W), true where pixels should go.
    """
    fans = find_fans(grey) if fans is None else fans
    if not fans:
        return np.ones(grey.shape[1:], dtype=bool)
    kept = ndimage.binary_dilation(np.any(fans, axis=0), iterations=_AROUND)
    if believed := [region for region in regions if not region.is_stale]:
        declared = np.zeros_like(kept)
        for region in believed:
            declared[region.window] = True
        kept &= declared
    return np.asarray(~kept | _text_within(grey, kept))


def masked_copy(path: Path, mask: Mask, boxes: Sequence[tuple[int, int, int, int]], target: Path) -> None:
    """Write a DICOM file again with pixels blacked out on every frame, as a derived image that says so.

    It is uncompressed, its instance UID follows from the source and the mask, and BurnedInAnnotation is NO. Everything
    else in its header stays, the patient's name too.

    Args:
        path: the file.
        mask: (H, W), what to black out.
        boxes: (left, top, right, bottom) in pixels, one past the last; likewise.
        target: the file to write.

    Raises:
        BadInputError: it cannot be read, is not 8-bit grey or colour, or a mask of another size.
    """
    header = read_header(path)
    frames = decode(header)
    if frames.dtype != np.uint8:
        raise BadInputError(
            path.name, expected="a picture of 8 bits", came=str(frames.dtype), fix="Mask it where it was made."
        )
    if mask.shape != frames.shape[1:3]:
        came = f"{mask.shape[1]} x {mask.shape[0]}"
        raise BadInputError("the mask", expected="one of the picture's size", came=came, fix="Propose it again.")
    out = with_boxes(mask, boxes)
    shown = frames.astype(np.uint8)
    shown[:, out] = 0
    made = whole_dataset(path)
    if made.file_meta.get("TransferSyntaxUID") == ExplicitVRBigEndian:
        raise BadInputError(
            path.name, expected="little endian", came="big endian", fix="Convert it to Explicit VR Little Endian."
        )
    _derive(made, shown, out)
    with refusing(path, expected="a header that can be written again"):
        made.save_as(target, enforce_file_format=True)


def with_boxes(mask: Mask, boxes: Sequence[tuple[int, int, int, int]]) -> Mask:
    """Return a mask with boxes (left, top, right, bottom), one past the last, added.

    Raises:
        BadInputError: a box is empty or outside.
    """
    made = mask.copy()
    height, width = mask.shape
    for left, top, right, bottom in boxes:
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise BadInputError(
                "the box",
                expected=f"left,top,right,bottom within {width} x {height}",
                came=f"{left},{top},{right},{bottom}",
                fix="Look at the picture again.",
            )
        made[top:bottom, left:right] = True
    return made


def _derive(made: FileDataset, frames: NDArray[np.uint8], out: Mask) -> None:
    source = str(made.SOPInstanceUID)
    digest = hashlib.sha256(source.encode() + np.packbits(out).tobytes()).digest()[:16]
    made.SOPInstanceUID = UID(f"2.25.{int.from_bytes(digest)}")
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.ImageType = ["DERIVED", *list(made.get("ImageType") or ["", "PRIMARY"])[1:]]
    made.DerivationDescription = "burnt-in text blacked out"
    made.BurnedInAnnotation = "NO"
    for keyword in ("IconImageSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in made:
            del made[keyword]
    for tag in [element.tag for element in made if 0x6000 <= element.tag.group <= 0x60FF]:
        del made[tag]
    for keyword in [element.keyword for element in made if "PaletteColorLookupTable" in element.keyword]:
        del made[keyword]
    put_pixels(made, frames)


def _text_within(grey: NDArray[np.uint8], kept: Mask) -> Mask:
    """Return what looks like text in the images.

    In a cine: what is bright and never changes, unless much does. In a still: where far more pixels than by chance have
    the very tones of the text outside, speckle having all tones; a lossy compression hides that.
    """
    frames = some_frames(grey)
    if len(frames) >= _MANY:
        steady = (frames.max(axis=0).astype(np.int16) - frames.min(axis=0) <= _STILL) & (frames[0] > _LIT) & kept
        if steady.sum() <= _FROZEN * kept.sum():
            return _around(steady, kept, least=6)
    first = frames[0]
    outside = first[~kept]
    counts = np.bincount(outside[outside > _LIT], minlength=256)
    tones = [int(tone) for tone in np.argsort(counts)[::-1][:3] if counts[tone] > 0.04 * counts.sum()]
    if not tones:
        return np.zeros_like(kept)
    solid = ndimage.binary_opening(first >= min(tones), np.ones((4, 4)))
    alike = np.isin(first, tones) & kept & ~ndimage.binary_dilation(solid)
    by_chance = float(alike.sum()) / max(1, int(kept.sum()))
    return _around(alike, kept, least=round(max(20.0, 8 * by_chance * _WINDOW[0] * _WINDOW[1])))


def _around(strokes: Mask, kept: Mask, *, least: int) -> Mask:
    """Return the boxes around strokes that stand so close that a window of a few letters has ``least`` of them."""
    dense = (
        ndimage.uniform_filter(strokes.astype(np.float32), _WINDOW, mode="constant") * np.prod(_WINDOW) >= least - 0.5
    )
    texts, _ = ndimage.label(dilated(strokes & dilated(dense, _WINDOW), (5, 9)))
    found = np.zeros_like(kept)
    for where in ndimage.find_objects(texts):
        found[where] = True
    return np.asarray(ndimage.binary_dilation(found, iterations=_AROUND))
