"""Findings on images as DICOM structured reports, TID 1500 "Measurement Report" (PS3.16).

A finding with a box is a volumetric group (TID 1411), its box as a stack of polygons in the frame of reference; or a
planar group (TID 1410), its rectangle on one picture, in a document without anything in space: of those OHIF makes
annotations, of the others it does not (it loads their groups without the images they lie on,
``_checkIfCanAddMeasurementsToDisplaySet``). A finding on whole images is a group of TID 1501.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from highdicom import sr
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from hepatic import __version__
from hepatic.geometry import Grid
from hepatic.io.dicom_instance import MAKER, Instance
from hepatic.io.dicom_segment import LONG_STRING, Algorithm
from hepatic.io.dicom_source import DicomSource, Place, is_placed, person_name

SCHEME = "99HEPATIC"
CERTAINTY = sr.CodedConcept("111012", "DCM", "Certainty of finding")
RECTANGLE = "Cornerstone3DTools@^0.1.0:RectangleROI"
"""Tracking identifier from which OHIF knows that it may make an annotation of a group."""

LESION = sr.CodedConcept("52988006", "SCT", "Lesion")
LIVER = sr.CodedConcept("10200004", "SCT", "Liver")
_PROCEDURES = {
    "CT": sr.CodedConcept("169070004", "SCT", "CT of abdomen"),
    "US": sr.CodedConcept("45036003", "SCT", "Ultrasonography of abdomen"),
    "XA": sr.CodedConcept("77343006", "SCT", "Angiography"),
}
_IMAGING = sr.CodedConcept("363679005", "SCT", "Imaging")
_DEVICE = "2.25.147325871202937164201859371824610283745"
_SERIES_NUMBER = 310
_SAME_PLANE_MM = 1e-3

Group = Sequence[Dataset]
"""A measurement group of TID 1411, 1410 or 1501."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is said of one place, or of an image as a whole.

    Attributes:
        uid: tracking UID, the same wherever the same thing is meant.
        name: the same in words.
        algorithm: what found it; None for what a person did.
        certainty: of the algorithm, in [0, 1]; None where it says none.
        measurements: further ones.
        evaluations: what it was found to be.
        is_lesion: whether it is a lesion of the liver; else nothing is said of what it is.
    """

    uid: str
    name: str
    algorithm: Algorithm | None = None
    certainty: float | None = None
    measurements: tuple[sr.Measurement, ...] = ()
    evaluations: tuple[sr.QualitativeEvaluation, ...] = ()
    is_lesion: bool = True

    def in_space(self, box: Sequence[float], grid: Grid, source: DicomSource) -> Group:
        """Return its volumetric group.

        Args:
            box: (x, y, z, x, y, z), LPS millimetres.
            grid: whose slices the polygons lie on.
            source: the images.
        """
        made: Group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_volume_surface=sr.VolumeSurface(
                graphic_type=sr.GraphicTypeValues3D.POLYGON,
                graphic_data=_polygons(box, grid),
                frame_of_reference_uid=source.frame_of_reference_uid,
                source_series=sr.SourceSeriesForSegmentation(source.datasets[0].SeriesInstanceUID),
            ),
            measurements=self._measurements(),
            **self._common(self.name),
        )
        return made

    def on_picture(self, place: Place, *, pixel_mm: tuple[float, float] | None) -> Group:
        """Return its planar group.

        Args:
            place: where it lies.
            pixel_mm: (column, row) distance of pixels; None where the picture is not calibrated.
        """
        left, top, right, bottom = place.corners
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
        frames = None if place.frame is None else [place.frame]
        image = sr.SourceImageForRegion(place.image.SOPClassUID, place.image.SOPInstanceUID, frames)
        width, height = pixel_mm or (1.0, 1.0)
        area = sr.Measurement(
            name=codes.SCT.Area,
            value=round(float((right - left) * width * (bottom - top) * height), 3),
            unit=codes.UCUM.SquareMillimeter if pixel_mm else _SQUARE_PIXELS,
        )
        group: Group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_region=sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, corners, image),
            measurements=[area, *self._measurements()],
            **self._common(RECTANGLE),
        )
        # OHIF takes the corners from below the measurement, where TID 1410 leaves them out and TID 300 has them
        measured = next(item for item in group[0].ContentSequence if item.ValueType == "NUM")
        coordinates = sr.CoordinatesForMeasurement(sr.GraphicTypeValues.POLYLINE, corners, image)
        if "ContentSequence" in measured:
            measured.ContentSequence.append(coordinates)
        else:
            measured.ContentSequence = sr.ContentSequence([coordinates])
        return group

    def on_images(self, images: Sequence[Dataset], frame: int | None = None) -> Group:
        """Return its group of whole images; of one frame (from 1) of a file, where it is named."""
        frames = None if frame is None else [frame]
        shown = [sr.SourceImageForMeasurementGroup(one.SOPClassUID, one.SOPInstanceUID, frames) for one in images]
        made: Group = sr.MeasurementsAndQualitativeEvaluations(
            source_images=shown, measurements=self._measurements(), **self._common(self.name)
        )
        return made

    def _common(self, identifier: str) -> dict[str, object]:
        return {
            "tracking_identifier": sr.TrackingIdentifier(uid=self.uid, identifier=identifier),
            "finding_type": LESION if self.is_lesion else None,
            "finding_sites": [sr.FindingSite(LIVER)] if self.is_lesion else None,
            "algorithm_id": _identified(self.algorithm),
            "qualitative_evaluations": list(self.evaluations),
        }

    def _measurements(self) -> list[sr.Measurement]:
        sure = [] if self.certainty is None else [percent(CERTAINTY, self.certainty)]
        return [*sure, *self.measurements]


def report(
    kind: type[sr.Comprehensive3DSR] | type[sr.ComprehensiveSR],
    groups: Sequence[Group],
    source: DicomSource,
    *,
    observers: Sequence[str],
    description: str,
    described: Sequence[Dataset] = (),
    instance: Instance | None = None,
    is_complete: bool = True,
    is_final: bool = False,
) -> Dataset:
    """Return a document.

    Args:
        kind: of document; what lies in space needs the 3D one.
        groups: of ``Finding``.
        source: the images.
        observers: names of the persons who said it; none where it is a program's word alone.
        description: of the series.
        described: images that it describes, those that have a place in the patient; it lists no others.
        instance: which one of which series it is; a new one by default.
        is_complete: whether all there is to report is in it.
        is_final: whether it is the last word.
    """
    instance = instance or Instance.new()
    modality = str(source.datasets[0].get("Modality") or "")
    content = sr.MeasurementReport(
        observation_context=_context(observers),
        procedure_reported=_PROCEDURES.get(modality, _IMAGING),
        imaging_measurements=list(groups),
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=[one for one in described if is_placed(one)] or None,
    )
    document: Dataset = kind(
        evidence=list(source.datasets),
        content=content,
        series_instance_uid=instance.series_uid,
        series_number=_SERIES_NUMBER,
        sop_instance_uid=instance.sop_uid,
        instance_number=instance.number,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=__version__,
        device_serial_number="0",
        is_complete=is_complete,
        is_final=is_final,
        series_description=description[:LONG_STRING],
        previous_versions=[one.as_dataset() for one in instance.replaces] or None,
    )
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeName = SCHEME, MAKER
    document.CodingSchemeIdentificationSequence = [scheme]
    return document


def own_code(value: str, meaning: str) -> sr.CodedConcept:
    """Return a code of hepatic's own scheme."""
    return sr.CodedConcept(value, SCHEME, meaning[:LONG_STRING])


def percent(name: sr.CodedConcept, share: float) -> sr.Measurement:
    """Return a share in [0, 1] as a measurement in percent."""
    return sr.Measurement(name=name, value=round(100 * share, 3), unit=codes.UCUM.Percent)


_SQUARE_PIXELS = sr.CodedConcept("{pixels}2", "UCUM", "square pixels")


def _context(observers: Sequence[str]) -> sr.ObservationContext:
    """Return who decided, persons first, and what with."""
    persons = [
        sr.ObserverContext(codes.DCM.Person, sr.PersonObserverIdentifyingAttributes(name=person_name(name)))
        for name in observers
    ]
    device = sr.ObserverContext(
        codes.DCM.Device,
        sr.DeviceObserverIdentifyingAttributes(uid=_DEVICE, name=MAKER, manufacturer_name=MAKER, model_name=MAKER),
    )
    context = sr.ObservationContext(
        observer_person_context=persons[0] if persons else None, observer_device_context=device
    )
    for person in persons[1:]:
        context.extend(person)
    return context


def _identified(algorithm: Algorithm | None) -> sr.AlgorithmIdentification | None:
    if algorithm is None:
        return None
    return sr.AlgorithmIdentification(
        name=algorithm.name[:LONG_STRING],
        version=algorithm.version[:LONG_STRING] or "unknown",
        parameters=[f"weights SHA-256 {algorithm.weights_sha256}"] if algorithm.weights_sha256 else None,
        family=codes.DCM.ArtificialIntelligence,
    )


def _polygons(box: Sequence[float], grid: Grid) -> list[NDArray[np.float64]]:
    """Return a closed rectangle (5, 3), LPS, at both ends of the box and in each slice between them."""
    x0, y0, z0, x1, y1, z1 = box
    slices = grid.affine[2, 3] + grid.affine[2, 2] * np.arange(grid.size[2])
    between = [z for z in np.sort(slices) if z0 + _SAME_PLANE_MM < z < z1 - _SAME_PLANE_MM]
    planes = [z0, *np.unique(between), z1]
    return [np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z], [x0, y0, z]], np.float64) for z in planes]
