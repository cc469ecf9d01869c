"""AUL, Annotated Ultrasound Liver images: 735 stills, one per patient, with outlines of scan, liver and mass.

``Normal``, ``Benign`` and ``Malignant``, each with ``image/NAME.jpg`` and
``segmentation/{outline,liver,mass}/NAME.json``, a list of points (x, y). Facts: Xu et al., Brief Bioinform 2023
(doi:10.1093/bib/bbac569); the errata (229, 306: the outline given for the scan is that of the liver; 374: no liver) are
those that users of the data set found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.importers.case import LIVER, TUMOUR, Case, DataSet, study_uid_of
from hepatic.importers.folder import files_below, nothing_found
from hepatic.importers.outlines import Points, filled, points_of
from hepatic.importers.stills import JPEG, SUFFIXES, GreyDepth, as_still
from hepatic.importers.us_dicom import Origin, series_uid_of
from hepatic.io.image import Labelmap
from hepatic.io.refusal import refusing

DATA_SET = DataSet("AUL", "as its publisher states it", "https://doi.org/10.5281/zenodo.7272660")
SHAPE = "Normal, Benign and Malignant, each with image/NAME.jpg and segmentation/{outline,liver,mass}/NAME.json"

_CLASSES = ("normal", "benign", "malignant")
_LIVER_AS_SCAN = {("malignant", "229"), ("malignant", "306")}
_LARGEST_BYTES = 16 << 20


def cases(root: Path) -> Sequence[Case]:
    """Return the stills below a folder. A normal one has a label without a lesion.

    Raises:
        BadInputError: there is none.
    """
    made, depth = [], GreyDepth()
    for path in files_below(root):
        parent = path.parent
        kind = parent.parent.name.lower()
        if path.suffix.lower() in SUFFIXES and parent.name.lower() == "image" and kind in _CLASSES:
            made.append(_case(path, kind, depth))
    return made or nothing_found(root, SHAPE)


def _case(path: Path, kind: str, depth: GreyDepth) -> Case:
    name = f"AUL-{kind}-{path.stem}"
    uid, study = series_uid_of("AUL", kind, path.stem), study_uid_of("AUL", kind, path.stem)
    folder = path.parent.parent / "segmentation"
    given = {part: folder / part / f"{path.stem}.json" for part in ("outline", "liver", "mass")}
    if (kind, path.stem) in _LIVER_AS_SCAN:
        given["liver"] = given["outline"]
    complete = kind == "normal" or given["mass"].is_file()
    return Case(
        name=uid,
        origin=f"{kind}/{path.name}",
        patient_id=name,
        study_uid=study,
        description=f"AUL {kind} {path.stem}",
        modality="US",
        image=as_still(lambda: path, path.name, Origin(name, study, uid, f"AUL {path.stem}", JPEG), depth),
        label=_label(name, given["liver"], given["mass"]) if complete else None,
        said=("homogeneous",) if kind == "normal" else (),
        facts={"class": kind},
    )


def _label(name: str, liver: Path, mass: Path) -> Callable[[Grid], Labelmap]:
    def read(grid: Grid) -> Labelmap:
        given = [(LIVER, liver), (TUMOUR, mass)]
        outlines = [(structure, _outline(path)) for structure, path in given if path.is_file()]
        return filled(name, outlines, grid, names=(LIVER, TUMOUR) if liver.is_file() else (TUMOUR,))

    return read


def _outline(path: Path) -> Points:
    with refusing(path, expected="a list of points (x, y)"):
        if path.stat().st_size > _LARGEST_BYTES:
            raise BadInputError(path.name, expected="a list of points", came="a very large file", fix="Check it.")
        return points_of(path.name, json.loads(path.read_bytes()))
