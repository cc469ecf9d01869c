"""One DICOM file: its header, its pixels, as a volume or a cine."""

from __future__ import annotations

import logging
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from hepatic.errors import BadInputError
from hepatic.io.codestream import codestream_size
from hepatic.io.deflate import DEFLATE_RATIO
from hepatic.io.dicom_cine import frame_times_ms, mask_frames, pixel_spacing_mm, playback_fps
from hepatic.io.dicom_element import text, whole
from hepatic.io.dicom_grid import frames_are_regular, itk_grid
from hepatic.io.dicom_rescale import rescale
from hepatic.io.image import Cine, Modality, Volume
from hepatic.io.refusal import NotAnImageError, refusing
from hepatic.io.size import check_bytes, check_size
from hepatic.io.us_region import regions_of

# pydicom quotes invalid values in its warnings and its log, and a value may be a patient's name.
warnings.filterwarnings("ignore", module=r"pydicom(\..*)?")
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

EXPECTED = "a DICOM image"
_EXPORT = "Export the image again, uncompressed if the exporter lets you choose."
_IMAGES = "1.2.840.10008.5.1.4.1.1."
_NOT_IMAGES = tuple(
    _IMAGES + start for start in ("66", "67", "68", "88", "104", "11.", "9.", "481.2", "481.3", "481.5", "30")
)  # segmentations, surfaces, reports, documents, presentation states, waveforms, RT dose, structures, plans, maps
_VOLUMES_OF_XRAYS = _IMAGES + "13."
_MODALITIES: dict[str, Modality] = {"XA": "XA", "RF": "XA", "CT": "CT", "MR": "MR", "US": "US", "IVUS": "US"}
_MEASURED = {"CT", "MR", "PT"}  # pixel values are quantities there: MONOCHROME1 is only a way to show them
_HEADER_BYTES = 1 << 22  # what is inflated of a deflated file before its size has been checked


@dataclass(frozen=True, eq=False)
class DicomHeader:
    """A DICOM file without its pixels, checked.

    Attributes:
        path: the file.
        dataset: every element but the pixels.
        kind: whether it reads as a ``Volume`` or as a ``Cine``.
        modality: RF is taken as XA, IVUS as US, what hepatic has no task for as OT.
        size: columns, rows, frames.
        samples: 1, or 3 for colour (a palette has 1).
        bits_allocated: 1, 8, 16, 32 or 64.
        bits_stored: significant bits.
    """

    path: Path
    dataset: Dataset
    kind: Literal["volume", "cine"]
    modality: Modality
    size: tuple[int, int, int]
    samples: int
    bits_allocated: int
    bits_stored: int


def read_header(path: Path) -> DicomHeader:
    """Read and check the header of a DICOM image; pixels are neither read nor decoded.

    A file without preamble or file meta information is read as pydicom reads it.

    Raises:
        NotAnImageError: a DICOM object that holds no image, or holds a segmentation or a dose.
        BadInputError: a broken image.
    """
    with refusing(path, expected=EXPECTED):
        dataset = _dataset(path)
        sop_class = text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID") or ""
        rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
        if (not sop_class.startswith(_IMAGES) and rows is None) or sop_class.startswith(_NOT_IMAGES):
            name = UID(sop_class).name
            came = "an object of no known SOP class" if name == sop_class else name
            raise NotAnImageError(path.name, expected=EXPECTED, came=came, fix="Leave it out of the images.")
        frames = whole(dataset, "NumberOfFrames") if "NumberOfFrames" in dataset else 1
        bits_allocated = whole(dataset, "BitsAllocated")
        bits_stored = whole(dataset, "BitsStored") or bits_allocated
        samples = whole(dataset, "SamplesPerPixel") if "SamplesPerPixel" in dataset else 1
        if rows is None or columns is None or frames is None:
            raise _broken(path, "Rows, Columns and, with several frames, NumberOfFrames", "a header without them")
        frames = frames or 1
        if bits_allocated not in (1, 8, 16, 32, 64) or bits_stored is None or not 1 <= bits_stored <= bits_allocated:
            raise _broken(path, "BitsAllocated of 1, 8, 16, 32 or 64, and BitsStored within", "other numbers of bits")
        if samples not in (1, 3):
            raise _broken(path, "1 or 3 samples per pixel", f"{samples}")
        size = (columns, rows, frames)
        check_size(path.name, size, max_pixels=2**62)
        given = text(dataset, "Modality") or ""
        return DicomHeader(
            path,
            dataset,
            _kind(dataset, given, sop_class, frames, samples),
            _MODALITIES.get(given, "OT"),
            size,
            samples,
            bits_allocated,
            bits_stored,
        )


def read_image(header: DicomHeader, *, max_pixels: int | None = None) -> Volume | Cine:
    """Decode one file.

    Raises:
        BadInputError: it is larger than ``max_pixels`` or than the file, cannot be decoded, or is not a picture.
    """
    if header.kind == "volume" and not frames_are_regular(header.dataset):
        raise BadInputError(
            header.path.name,
            expected="frames in equal steps along their normal",
            came="frames in unequal steps, or several stacks",
            fix="Split the stacks, or export single-frame files.",
        )
    array = decode(header, max_pixels=max_pixels)
    grid = itk_grid(header.dataset, header.size)
    if header.kind == "volume":
        return Volume(rescale(array, header.dataset), grid, header.modality)
    frames = header.size[2]
    return Cine(
        array,
        frame_times_ms(header.dataset, frames),
        pixel_spacing_mm(header.dataset, modality=header.modality, size=header.size),
        grid,
        header.modality,
        header.bits_stored,
        mask_frames(header.dataset, frames),
        regions_of(header.dataset, header.size) if header.modality == "US" else (),
        playback_fps(header.dataset),
    )


def decode(header: DicomHeader, *, max_pixels: int | None = None) -> NDArray[np.generic]:
    """Return stored values, shape (frames, rows, columns) or (frames, rows, columns, 3) in RGB.

    YBR and palettes become RGB (8-bit where a palette has 16-bit entries); MONOCHROME1 is inverted, except where values
    are quantities (CT, MR, PT); bits above BitsStored are dropped.

    Raises:
        BadInputError: as ``read_image``.
    """
    path, dataset = header.path, header.dataset
    check_size(path.name, header.size, max_pixels=max_pixels)
    columns, rows, frames = header.size
    photometric = text(dataset, "PhotometricInterpretation") or ""
    promised = (columns * rows * frames * header.samples * header.bits_allocated + 7) // 8
    with refusing(path, expected=EXPECTED):
        syntax = _decodable(path, dataset)
        if syntax == DeflatedExplicitVRLittleEndian:
            check_bytes(path.name, promised=promised, there=path.stat().st_size * DEFLATE_RATIO)
        elif not syntax.is_encapsulated:
            raw = promised * 2 // 3 if "422" in photometric else promised
            check_bytes(path.name, promised=raw, there=path.stat().st_size)
        full = _dataset(path, pixels=True, limit=promised + _HEADER_BYTES)
        if "PixelData" not in full:
            raise _broken(path, "pixel data", "a header without pixel data")
        _check_frames(path, full, header)
        options: Any = {"allow_excess_frames": False}
        array, _ = get_decoder(syntax).as_array(full, **options)
        array = array.reshape(frames, rows, columns, *([3] if header.samples == 3 else []))
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if photometric == "PALETTE COLOR":
            coloured = apply_color_lut(array, full)
            return (coloured >> 8).astype(np.uint8) if coloured.dtype == np.uint16 else coloured
        array = _significant(array, header.bits_stored)
        if photometric == "MONOCHROME1" and text(dataset, "Modality") not in _MEASURED:
            return np.asarray(-1 - array if array.dtype.kind == "i" else (2**header.bits_stored - 1) - array)
        return array


def whole_dataset(path: Path) -> FileDataset:
    """Return everything in a file, the pixels as they are stored.

    Raises:
        BadInputError: it cannot be read.
    """
    with refusing(path, expected=EXPECTED):
        return pydicom.dcmread(path, force=True)


def _kind(dataset: Dataset, modality: str, sop_class: str, frames: int, samples: int) -> Literal["volume", "cine"]:
    if samples == 3 or text(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
        return "cine"
    if modality in ("XA", "RF", "US", "IVUS") and not sop_class.startswith(_VOLUMES_OF_XRAYS):
        return "cine"
    timed = "FrameTime" in dataset or "FrameTimeVector" in dataset
    return "cine" if frames > 1 and timed else "volume"


def _dataset(path: Path, *, pixels: bool = False, limit: int = _HEADER_BYTES) -> Dataset:
    """Parse a file; of a deflated one at most ``limit`` bytes are inflated."""
    with path.open("rb") as stream:
        if DeflatedExplicitVRLittleEndian.encode() in stream.read(1 << 16):
            inflated = _inflated(path, limit=limit, pixels=pixels)
            if inflated is not None:
                return inflated
    dataset: Dataset = pydicom.dcmread(path, force=True, stop_before_pixels=not pixels)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        )
    return dataset


def _inflated(path: Path, *, limit: int, pixels: bool) -> Dataset | None:
    """Parse a deflated file; None where its meta information names another syntax."""
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return None
    packed = path.read_bytes()[132 + 12 + int(meta.FileMetaInformationGroupLength) :]
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    inflated = inflater.decompress(packed, limit)
    if pixels and not inflater.eof:
        raise _broken(path, "a deflated file that ends with its pixels", "one that goes on, or is truncated")
    stop = None if pixels else lambda tag, vr, length: tag >= 0x7FE00008
    dataset = read_dataset(BytesIO(inflated), is_implicit_VR=False, is_little_endian=True, stop_when=stop)
    dataset.set_original_encoding(False, True)
    dataset.file_meta = meta
    return dataset


def _decodable(path: Path, dataset: Dataset) -> UID:
    """Return the transfer syntax.

    Raises:
        BadInputError: no decoder for it is installed.
    """
    syntax = UID(dataset.file_meta.get("TransferSyntaxUID", ""))
    try:
        known = get_decoder(syntax).is_available
    except NotImplementedError:
        known = False
    if known:
        return syntax
    raise BadInputError(
        path.name,
        expected="pixels uncompressed, deflated or in RLE, JPEG, JPEG-LS, JPEG 2000 or HTJ2K",
        came=syntax.name if syntax.is_transfer_syntax else "an unknown transfer syntax",
        fix=_EXPORT,
    )


def _check_frames(path: Path, dataset: Dataset, header: DicomHeader) -> None:
    """Check, before a decoder allocates, that every compressed frame is there and as large as the header says."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return
    columns, rows, frames = header.size
    found = 0
    extended = (dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths"))
    offsets = extended if None not in extended else None
    for frame in generate_frames(dataset.PixelData, number_of_frames=frames, extended_offsets=offsets):
        found += 1
        if syntax == RLELossless:
            promised = columns * rows * header.samples * header.bits_allocated // 8
            check_bytes(path.name, promised=promised, there=len(frame) * 64)  # 128 bytes from 2
            continue
        size = codestream_size(frame)
        if size is None:
            raise _broken(path, "frames that start with their size", "a frame that does not")
        if size != (rows, columns):
            raise _broken(path, f"frames of {columns} x {rows} pixels", f"a frame of {size[1]} x {size[0]}")
    if found != frames:
        raise _broken(path, f"{frames} frames", f"{found}")


def _significant(array: NDArray[Any], bits_stored: int) -> NDArray[Any]:
    """Drop what old overlays left above BitsStored, keeping the sign."""
    spare = array.dtype.itemsize * 8 - bits_stored
    if array.dtype.kind not in "iu" or spare <= 0 or array.size == 0:
        return array
    if array.dtype.kind == "u" and array.max() < 2**bits_stored:
        return array
    return np.asarray(np.right_shift(np.left_shift(array, spare), spare))


def _broken(path: Path, expected: str, came: str) -> BadInputError:
    return BadInputError(path.name, expected=expected, came=came, fix=_EXPORT)
