"""Small images, made where they are needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from hepatic.geometry import Grid, grid_from_parts

XA = "1.2.840.10008.5.1.4.1.1.12.1"
US_CINE = "1.2.840.10008.5.1.4.1.1.3.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
SERIES = generate_uid()

MakeDicom = Callable[..., Path]


def dicom_dataset(array: NDArray[Any], *, sop_class: str = XA, modality: str = "XA", **elements: Any) -> Dataset:
    """An image of shape (F, H, W) or (F, H, W, 3)."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", SERIES
    dataset.Modality, dataset.PatientID = modality, "P1"
    dataset.Rows, dataset.Columns = array.shape[1:3]
    if array.shape[0] > 1:
        dataset.NumberOfFrames = array.shape[0]
    dataset.SamplesPerPixel = 3 if array.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if array.ndim == 4 else "MONOCHROME2"
    if array.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = array.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    dataset.PixelData = array.tobytes() + b"\0" * (array.nbytes % 2)
    dataset["PixelData"].VR = "OW" if array.dtype.itemsize > 1 else "OB"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


@pytest.fixture
def make_dicom(tmp_path: Path) -> MakeDicom:
    """Write an image: ``make_dicom(array, "name.dcm", sop_class=..., modality=..., Keyword=value)``."""

    def make(array: NDArray[Any], name: str = "image.dcm", **elements: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        dicom_dataset(array, **elements).save_as(path, enforce_file_format=True)
        return path

    return make


@pytest.fixture
def itk_grid_of() -> Callable[[Any], Grid]:
    """The grid SimpleITK gives a file, or a sorted list of files."""

    def grid(source: Path | list[Path]) -> Grid:
        if isinstance(source, list):
            image = SimpleITK.ReadImage([str(path) for path in source])
            parts = image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()
        else:
            reader = SimpleITK.ImageFileReader()
            reader.SetFileName(str(source))
            reader.ReadImageInformation()
            parts = reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection()
        return grid_from_parts(*parts)

    return grid


@pytest.fixture
def oblique() -> Grid:
    """A grid of 7 x 5 x 4 whose axes are those of no anatomical plane."""
    axes, _ = np.linalg.qr(np.array([[0.8, 0.3, -0.2], [-0.1, 0.9, 0.4], [0.3, -0.3, 0.9]]))
    affine = np.eye(4)
    affine[:3, :3] = axes @ np.diag([0.7, 0.8, 5.0])
    affine[:3, 3] = -12.5, 34.0, -56.25
    return Grid((7, 5, 4), affine)


def sitk_image(array: NDArray[Any], grid: Grid) -> Any:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection([float(v) for v in grid.direction.ravel()])
    return image


@pytest.fixture
def write_with_itk() -> Callable[[Path, NDArray[Any], Grid], None]:
    def write(path: Path, array: NDArray[Any], grid: Grid) -> None:
        SimpleITK.WriteImage(sitk_image(array, grid), str(path))

    return write
