"""MCT-LTDiag: four-phase CT of five kinds of liver tumours, masks in the portal venous phase.

An archive or folder per patient with ``nc``, ``art``, ``pvp`` and ``delay.nii.gz``, ``mask_pvp.nii.gz`` and
``liver_mask_pvp.nii.gz``; perhaps a table ``meta_info_patient`` (.csv or .tab) with a column of tumour types.
"""

from __future__ import annotations

import csv
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.importers.case import LIVER, TUMOUR, Case, DataSet, file_of, study_uid_of
from hepatic.importers.folder import files_below, nothing_found
from hepatic.importers.labels import in_space
from hepatic.io.image import Labelmap
from hepatic.io.refusal import refusing

DATA_SET = DataSet("MCT-LTDiag", "CC0 1.0", "https://doi.org/10.7910/DVN/S3RW15")
SHAPE = "an archive PATIENT.tar or a folder per patient with nc, art, pvp, delay, mask_pvp and liver_mask_pvp.nii.gz"
PHASES = {"nc.nii.gz": "nc", "art.nii.gz": "arterial", "pvp.nii.gz": "venous", "delay.nii.gz": "delayed"}
_TUMOUR, _LIVER = "mask_pvp.nii.gz", "liver_mask_pvp.nii.gz"
_WANTED = {*PHASES, _TUMOUR, _LIVER}
_ID_COLUMNS, _TYPE_COLUMNS = ("id", "patient_id"), ("type", "tumor_type")


@dataclass(frozen=True)
class _Patient:
    """A patient's files by name: files, or members of an archive."""

    name: str
    files: Mapping[str, Path]
    archive: Path | None = None

    def image(self, name: str) -> Callable[[Path], Sequence[Path]]:
        return file_of(self.files[name]) if self.archive is None else lambda scratch: [self._unpack(name, scratch)]

    def label(self) -> Callable[[Grid], Labelmap] | None:
        masks = [(name, what) for name, what in ((_LIVER, LIVER), (_TUMOUR, TUMOUR)) if name in self.files]
        if _TUMOUR not in self.files:
            return None
        if self.archive is None:
            return in_space([(self.files[name], what) for name, what in masks])

        def read(grid: Grid) -> Labelmap:
            with TemporaryDirectory(prefix="hepatic-import-") as folder:
                return in_space([(self._unpack(name, Path(folder)), what) for name, what in masks])(grid)

        return read

    def _unpack(self, name: str, folder: Path) -> Path:
        """Copy one member out of the archive, under its own last name."""
        path = folder / name
        archive = self.archive or path
        with refusing(archive, expected="a tar archive"), tarfile.open(archive) as tar:
            member = tar.extractfile(str(self.files[name]))
            if member is None:
                raise BadInputError(
                    archive.name, expected=f"a file {name}", came="a link or a folder", fix="Get it again."
                )
            with member, path.open("wb") as target:
                shutil.copyfileobj(member, target)
        return path


def cases(root: Path) -> Sequence[Case]:
    """Return the phases of all patients in a folder, a study per patient.

    Raises:
        BadInputError: there is none, or an archive cannot be read.
    """
    types = dict(_types(root))
    patients = {patient.name: patient for patient in (*_archives(root), *_folders(root))}
    made = [
        Case(
            name=f"mct-ltdiag-{patient.name}-{phase}",
            origin=f"{patient.name}/{name}",
            patient_id=f"MCT-LTDiag-{patient.name}",
            study_uid=study_uid_of("MCT-LTDiag", patient.name),
            description=phase,
            image=patient.image(name),
            label=patient.label() if phase == "venous" else None,
            facts={"diagnosis": types[patient.name]} if patient.name in types else {},
        )
        for patient in sorted(patients.values(), key=lambda one: one.name)
        for name, phase in PHASES.items()
        if name in patient.files
    ]
    return made or nothing_found(root, SHAPE)


def _archives(root: Path) -> Iterator[_Patient]:
    for path in files_below(root):
        if path.suffix == ".tar":
            with refusing(path, expected="a tar archive"), tarfile.open(path) as tar:
                members = {PurePosixPath(name).name: Path(name) for name in tar.getnames()}
            yield _Patient(path.stem, {name: members[name] for name in _WANTED & members.keys()}, path)


def _folders(root: Path) -> Iterator[_Patient]:
    """Yield unpacked patients: the phases lie in a folder ``NIFTI`` below the patient's, or in the patient's itself."""
    found: dict[Path, dict[str, Path]] = {}
    for path in files_below(root):
        if path.name in _WANTED:
            folder = path.parent.parent if path.parent.name.upper() == "NIFTI" else path.parent
            found.setdefault(folder, {})[path.name] = path
    for folder, files in found.items():
        yield _Patient(folder.resolve().name, files)


def _types(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the tumour type by patient, where there is a table that has both."""
    for path in files_below(root):
        if path.stem != "meta_info_patient" or path.suffix not in (".csv", ".tab"):
            continue
        with refusing(path, expected="a table"), path.open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t" if path.suffix == ".tab" else ","):
                low = {str(key).strip().lower(): str(value or "").strip().strip('"') for key, value in row.items()}
                patient = next((low[column] for column in _ID_COLUMNS if low.get(column)), "")
                kind = next((low[column] for column in _TYPE_COLUMNS if low.get(column)), "")
                if patient and kind:
                    yield patient, kind
