from pydicom.uid import UID

from sample_data.uid import uid


def test_an_identifier_depends_on_its_parts_alone() -> None:
    assert uid("dsa", 1) == uid("dsa", 1) == "2.25.272648926000150094434945155970942694027"
    assert len({uid("dsa", seed) for seed in range(100)}) == 100


def test_an_identifier_is_valid_in_dicom() -> None:
    assert all(UID(uid(part)).is_valid and len(uid(part)) <= 64 for part in range(50))
