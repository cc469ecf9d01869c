"""Data sets in nnU-Net's form: ``dataset.json``, ``imagesTr/CASE_0000.nii.gz``, ``labelsTr/CASE.nii.gz``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError
from hepatic.importers.case import Case, DataSet, Known, file_of, study_uid_of
from hepatic.importers.folder import files_below, nothing_found
from hepatic.importers.labels import by_voxel
from hepatic.io.image import Modality
from hepatic.io.refusal import refusing
from hepatic.labels import structure

DATA_SET = DataSet("nnU-Net data set", "as its publisher states it", "not stated")
SHAPE = "dataset.json, imagesTr/CASE_0000.nii.gz (channel 0000) and labelsTr/CASE.nii.gz"
_IMAGE = re.compile(r"(.+)_(\d{4})(\.nii\.gz|\.nii|\.nrrd)")
_LARGEST_BYTES = 1 << 24
_MODALITIES: Mapping[Modality, re.Pattern[str]] = {
    "CT": re.compile(r"\b(ct|cect|ncct|cta)\b"),
    "MR": re.compile(r"\b(mri?|t[12]\w*|flair|dwi|adc|swi|pdw?|dixon)\b"),
}


def cases(root: Path) -> Sequence[Case]:
    """Return the images of a data set: the channels of a case are the phases of one study, with one mask.

    A case is a patient. Where ``dataset.json`` has an object ``patients`` (hepatic's own addition: patient by case),
    that is believed instead. The modality is told from the name of the channel, or from ``modality`` where that is
    given beside it. Where voxels may be marked to be ignored, lesions may be among them: then not all are marked.

    Raises:
        BadInputError: there is none, or ``dataset.json`` is missing or says nothing of the labels, or not which
            modality a channel is.
    """
    about = _about(root)
    names = _names(about)
    channels = _table(about, "channel_names") or _table(about, "modality")
    modalities = _table(about, "modality")
    known: Known = "positives_only" if _ignores(about) else "complete"
    patients = _table(about, "patients")
    data_set = str(about.get("name") or root.resolve().name)
    masks = {_stem(path): path for path in files_below(root) if path.parent.name == "labelsTr"}
    made = []
    for path in files_below(root):
        match = _IMAGE.fullmatch(path.name)
        if path.parent.name not in ("imagesTr", "imagesTs") or match is None:
            continue
        case, channel = match.group(1), match.group(2)
        named = str(channels.get(str(int(channel)), ""))
        mask = masks.get(case) if path.parent.name == "imagesTr" else None
        made.append(
            Case(
                name=f"{data_set}-{case}-{channel}",
                origin=f"{path.parent.name}/{path.name}",
                patient_id=str(patients.get(case) or f"{data_set}-{case}"),
                study_uid=study_uid_of("nnunet", data_set, case),
                description=named,
                modality=_modality(channel, named, str(modalities.get(str(int(channel)), ""))),
                image=file_of(path),
                label=None if mask is None else by_voxel(mask, names),
                known=known,
            )
        )
    return made or nothing_found(root, SHAPE)


def _modality(channel: str, *names: str) -> Modality:
    """Return the modality that the first of these names tells that tells one."""
    for name in names:
        words = name.lower().replace("_", " ")
        found = [modality for modality, pattern in _MODALITIES.items() if pattern.search(words)]
        if len(found) == 1:
            return found[0]
    raise BadInputError(
        "dataset.json",
        expected=f"the modality of channel {channel}, CT or MR, in channel_names",
        came=ascii(names[0])[:60],
        fix=f'Call it "CT" or "MRI" there, or add "modality": {{"{int(channel)}": "CT"}}.',
    )


def _ignores(about: Mapping[str, Any]) -> bool:
    """Whether there is a label for voxels of which nothing is known, in either way of writing labels."""
    return any("ignore" in (str(key).lower(), str(value).lower()) for key, value in about["labels"].items())


def _about(root: Path) -> Mapping[str, Any]:
    path = root / "dataset.json"
    with refusing(path, expected="nnU-Net's dataset.json"):
        if path.stat().st_size > _LARGEST_BYTES:
            raise BadInputError(path.name, expected="a description", came="a very large file", fix="Check the folder.")
        about = json.loads(path.read_bytes())
    if not isinstance(about, dict) or not isinstance(about.get("labels"), dict):
        raise BadInputError(
            path.name, expected="labels, such as {'background': 0, 'liver': 1}", came="none", fix="Check the folder."
        )
    return about


def _table(about: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = about.get(key)
    return value if isinstance(value, dict) else {}


def _names(about: Mapping[str, Any]) -> dict[int, str]:
    """Return the structure by value, in hepatic's words.

    Both ways of writing labels are read: version 2's ``{"liver": 1}`` and version 1's ``{"1": "liver"}``. Of regions
    (``{"liver": [1, 2], "tumour": 2}``) a value gets the smallest one it is in.
    """
    regions: list[tuple[int, int, str]] = []
    for key, value in about["labels"].items():
        if isinstance(value, str) and str(key).isdigit():
            values, name = [int(key)], value
        else:
            values, name = list(value) if isinstance(value, list) else [value], str(key)
        if not all(isinstance(one, int) and 0 <= one < 2**16 for one in values):
            raise BadInputError(
                "dataset.json", expected="labels with whole values", came=f"{name!a}", fix="Check the file."
            )
        regions += [(len(values), one, name) for one in values]
    found: dict[int, str] = {}
    for _, value, name in sorted(regions, key=lambda region: region[0]):
        known = structure(name)
        if value > 0 and name.lower() != "ignore":
            found.setdefault(value, known.name if known else name)
    return found


def _stem(path: Path) -> str:
    return re.sub(r"(\.nii\.gz|\.nii|\.nrrd)$", "", path.name)
