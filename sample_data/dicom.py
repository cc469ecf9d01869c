"""What every simulated DICOM image says of itself, its patient and its study."""

from typing import Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from sample_data.uid import uid

STUDY_TIME: Final = "100000"


def new_image(
    sop_class: UID,
    instance_uid: UID,
    *,
    patient_id: str,
    study_uid: UID,
    study_date: str,
    study_id: str,
    study_description: str,
) -> FileDataset:
    """Make a DICOM file, uncompressed, that holds no image yet.

    Args:
        sop_class: its SOPClassUID.
        instance_uid: its SOPInstanceUID.
        patient_id, study_uid, study_date, study_id, study_description: DICOM's; dates as YYYYMMDD.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("hepatic", "sample data")
    meta.ImplementationVersionName = "HEPATIC_PHANTOM"
    ds = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = meta.MediaStorageSOPClassUID
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.PatientID = patient_id
    ds.PatientName = f"Phantom^{patient_id}"
    ds.PatientBirthDate = ""
    ds.PatientSex = "O"
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "SYNTHETIC PHANTOM"
    ds.StudyInstanceUID = study_uid
    ds.StudyDate, ds.StudyTime = study_date, STUDY_TIME
    ds.StudyID = study_id
    ds.StudyDescription = study_description
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    ds.Manufacturer = "hepatic synthetic"
    ds.ManufacturerModelName = "phantom"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "hepatic sample_data 1"
    return ds
