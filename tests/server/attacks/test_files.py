"""Files that are not what they say: bombs, lies, disguises."""

import gzip
import io
import pickle
import stat
import struct
import tarfile
import zipfile

import nibabel
import numpy as np
import pydicom
import pytest
import requests
from pydicom.uid import generate_uid
from safetensors.numpy import save

from tests.server.attacks.conftest import image
from tests.store.studies import write_ct_slice, write_xa_run


def nifti(size=(4, 4, 4), data=bytes(64), **fields):
    header = nibabel.Nifti1Header()
    header["dim"][: len(size) + 1] = [len(size), *size]
    header["datatype"], header["bitpix"], header["vox_offset"], header["magic"] = 2, 8, 352, b"n+1"
    header["pixdim"][:4] = 1
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + bytes(4) + data


def nrrd(sizes, encoding="raw", data=b"", more=""):
    return f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: {sizes}\nencoding: {encoding}\n{more}\n".encode() + data


def bomb(header, mib):
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as stream:
        stream.write(header)
        for _ in range(mib):
            stream.write(bytes(1 << 20))
    return packed.getvalue()


def forged(tmp_path, **fields):
    write_xa_run(tmp_path / "run.dcm", series=generate_uid(), study=generate_uid())
    dataset = pydicom.dcmread(tmp_path / "run.dcm")
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset.save_as(tmp_path / "forged.dcm")
    return (tmp_path / "forged.dcm").read_bytes()


NAN = {"srow_x": [np.nan] * 4, "sform_code": 1}
ELSEWHERE = {"srow_x": [1, 0, 0, 900], "srow_y": [0, 1, 0, 900], "srow_z": [0, 0, 1, 9], "sform_code": 1}
SHEARED = {"srow_x": [1, 1, 0, 0], "srow_y": [0, 1, 0, 0], "srow_z": [0, 0, 1, 0], "sform_code": 1}
IMAGES = {
    "DICOM of 65535 x 65535 pixels": ("x.dcm", lambda t: forged(t, Rows=65535, Columns=65535)),
    "DICOM of a million frames": ("x.dcm", lambda t: forged(t, NumberOfFrames=10**6)),
    "DICOM of a negative number of frames": ("x.dcm", lambda t: forged(t, NumberOfFrames=-5)),
    "DICOM of no rows": ("x.dcm", lambda t: forged(t, Rows=0)),
    "DICOM of 64 bits per pixel": ("x.dcm", lambda t: forged(t, BitsAllocated=64, BitsStored=64, HighBit=63)),
    "DICOM cut off": ("x.dcm", lambda t: forged(t)[:-50]),
    "NIfTI of 32767 cubed": ("x.nii", lambda t: nifti((32767,) * 3)),
    "NIfTI of seven axes": ("x.nii", lambda t: nifti((32767,) * 7)),
    "NIfTI of negative size": ("x.nii", lambda t: nifti((-4, 4, 4))),
    "NIfTI of nothing": ("x.nii", lambda t: nifti((0, 4, 4))),
    "NIfTI without axes": ("x.nii", lambda t: nifti((4, 4, 4), dim=[-3] + [4] * 7)),
    "NIfTI with a NaN in its affine": ("x.nii", lambda t: nifti(**NAN)),
    "NIfTI with a sheared affine": ("x.nii", lambda t: nifti(**SHEARED)),
    "NIfTI with pixels at byte 1e30": ("x.nii", lambda t: nifti(vox_offset=1e30)),
    "NIfTI with pixels at no byte": ("x.nii", lambda t: nifti(vox_offset=np.nan)),
    "NIfTI of an unknown type": ("x.nii", lambda t: nifti(datatype=999)),
    "NIfTI that is a gzip bomb": ("x.nii.gz", lambda t: bomb(nifti((1024, 1024, 400), b""), 400)),
    "NIfTI in gzip in gzip": ("x.nii.gz", lambda t: gzip.compress(gzip.compress(nifti()))),
    "NIfTI whose gzip holds too little": ("x.nii.gz", lambda t: bomb(nifti((1024, 1024, 500), b""), 4)),
    "NRRD of 2**62 pixels": ("x.nrrd", lambda t: nrrd(f"{2**31} {2**31} 1")),
    "NRRD of negative size": ("x.nrrd", lambda t: nrrd("-4 4 4", data=bytes(64))),
    "NRRD of endless digits": ("x.nrrd", lambda t: nrrd("9" * 5000 + " 4 4")),
    "NRRD that is a gzip bomb": ("x.nrrd", lambda t: nrrd("1024 1024 400", "gzip") + bomb(b"", 400)),
    "NRRD in a file beside it": ("x.nrrd", lambda t: nrrd("4 4 4", more="data file: case.nrrd\n")),
    "NRRD in /etc/passwd": ("x.nrrd", lambda t: nrrd("4 4 4", more="data file: /etc/passwd\n")),
    "NRRD in a list of files": ("x.nrrd", lambda t: nrrd("4 4 4", more="data file: LIST\n/etc/passwd\n")),
    "NRRD that never begins": ("x.nrrd", lambda t: b"NRRD0004\n" + b"# x\n" * 500_000),
    "a page called DICOM": ("x.dcm", lambda t: b"<html><script>alert(1)</script></html>"),
    "a program called NIfTI": ("x.nii", lambda t: b"MZ" + bytes(500)),
    "a pickle called NRRD": ("x.nrrd", lambda t: pickle.dumps(print)),
    "nothing": ("x.nrrd", lambda t: b""),
}  # fmt: skip


@pytest.mark.parametrize("what", IMAGES)
def test_an_image_is_refused_that_is(attacked, tmp_path, what):
    name, make = IMAGES[what]
    content = make(tmp_path)
    assert len(content) < 8 << 20
    for method, target, field in (
        ("PUT", "datastore/image", "file"),
        ("PUT", "session/", "files"),
        ("POST", "infer/nothing", "file"),
    ):
        answer = requests.request(method, f"{attacked}/{target}", files={field: (name, content)}, timeout=60)
        assert answer.status_code == 422, (target, answer.text)
        assert answer.json()["detail"].startswith(("the image file: expected", "the upload: expected"))


LABELS = {
    "of fractions": ("l.nii", lambda t: nifti(datatype=16, bitpix=32, data=np.full(64, 0.5, "<f4").tobytes())),
    "of NaN": ("l.nii", lambda t: nifti(datatype=16, bitpix=32, data=np.full(64, np.nan, "<f4").tobytes())),
    "of negative numbers": ("l.nii", lambda t: nifti(datatype=256, data=b"\xff" * 64)),
    "that is a bomb": ("l.nii.gz", lambda t: bomb(nifti((1024, 1024, 400), b""), 400)),
    "that lies elsewhere": ("l.nii", lambda t: nifti(**ELSEWHERE)),
    "that is DICOM": ("l.nrrd", lambda t: forged(t)),
    "that is no JSON": ("l.json", lambda t: b"[" * 200_000),
    "that is a program": ("l.seg.nrrd", lambda t: b"\x7fELF" + bytes(100)),
}  # fmt: skip


@pytest.mark.parametrize("what", LABELS)
def test_a_label_is_refused(attacked, tmp_path, what):
    name, make = LABELS[what]
    files = {"label": (name, make(tmp_path))}
    answer = requests.put(f"{attacked}/datastore/label?image=case", files=files, timeout=60)
    assert answer.status_code == 422, answer.text
    if what != "that lies elsewhere":
        answer = requests.post(f"{attacked}/infer/nothing?image=case", files=files, timeout=60)
        assert answer.status_code == 422, answer.text


def zipped(*members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members:
            archive.writestr(member, data)
    return packed.getvalue()


def link(target):
    entry = zipfile.ZipInfo("link.dcm")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return zipped((entry, target))


def tarred(name="x.dcm", kind=tarfile.REGTYPE, target="", data=b"", mode="w"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, target, len(data)
        archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


ARCHIVES = {
    "zip slip": ("a.zip", lambda t: zipped(("../../../outside/x.dcm", forged(t)))),
    "absolute zip": ("a.zip", lambda t: zipped(("/etc/x.dcm", forged(t)))),
    "Windows zip": ("a.zip", lambda t: zipped(("C:\\x.dcm", forged(t)))),
    "zip with a link": ("a.zip", lambda t: link("/etc/passwd")),
    "zip bomb": ("a.zip", lambda t: zipped(("x.dcm", bytes(200 << 20)))),
    "zip in a zip": ("a.zip", lambda t: zipped(("b.zip", zipped(("x.dcm", forged(t)))))),
    "zip of ten thousand": ("a.zip", lambda t: zipped(*((f"{number}", b"") for number in range(10_000)))),
    "zip of nothing": ("a.zip", lambda t: zipped()),
    "zip of a page": ("a.zip", lambda t: zipped(("index.html", b"<html>"))),
    "zip cut off": ("a.zip", lambda t: zipped(("x.dcm", forged(t)))[:-10]),
    "two series": ("a.zip", lambda t: zipped(("a", forged(t)), ("b", forged(t)))),
    "tar called zip": ("a.zip", lambda t: tarred(data=forged(t))),
    "zip called tar": ("a.tar", lambda t: zipped(("x.dcm", forged(t)))),
    "tar slip": ("a.tar", lambda t: tarred("../../x.dcm", data=forged(t))),
    "tar with a symbolic link": ("a.tar", lambda t: tarred(kind=tarfile.SYMTYPE, target="/etc/passwd")),
    "tar with a hard link": ("a.tar", lambda t: tarred(kind=tarfile.LNKTYPE, target="../../case.nrrd")),
    "tar with a device": ("a.tar", lambda t: tarred(kind=tarfile.BLKTYPE)),
    "tar bomb": ("a.tar.gz", lambda t: tarred(data=bytes(200 << 20), mode="w:gz")),
    "no archive": ("a.tgz", lambda t: b"x" * 1000),
}  # fmt: skip


@pytest.mark.parametrize("what", ARCHIVES)
def test_an_archive_is_refused(attacked, tmp_path, what):
    name, make = ARCHIVES[what]
    content = make(tmp_path)
    for target, field in (("datastore/image", "file"), ("session/?uncompress=true", "files")):
        answer = requests.put(f"{attacked}/{target}", files={field: (name, content)}, timeout=60)
        assert answer.status_code == 422, answer.text
        assert answer.json()["detail"].startswith(("the archive: expected", "the image file: expected"))


def test_a_series_in_an_archive_is_taken_whole(attacked, tmp_path):
    uid, study = generate_uid(), generate_uid()
    for k in range(3):
        write_ct_slice(tmp_path / f"{k}", series=uid, study=study, k=k)
    sent = zipped(("DICOMDIR", b"x"), *((f"DICOM\\IM{k}", (tmp_path / f"{k}").read_bytes()) for k in range(3)))
    told = requests.put(f"{attacked}/datastore/image", files={"file": ("s.zip", sent)}, timeout=60).json()
    assert told == {"image": uid}
    info = requests.get(f"{attacked}/datastore/image/info", params={"image": uid}, timeout=10).json()
    assert info["size"] == [4, 4, 3]
    again = requests.put(f"{attacked}/datastore/image", files={"file": ("s.zip", sent)}, timeout=60)
    assert again.json() == told  # the same files again are nothing new
    assert requests.delete(f"{attacked}/datastore/image", params={"id": uid}, timeout=10).status_code == 200
    url = f"{attacked}/session/?uncompress=true"
    session = requests.put(url, files={"files": ("s.zip", sent)}, timeout=60).json()["session_id"]
    query = {"session_id": session, "output": "image"}
    assert requests.post(f"{attacked}/infer/nothing", params=query, timeout=60).status_code == 200
    assert requests.delete(f"{attacked}/session/{session}", timeout=10).status_code == 200


def safetensors(header, data=b""):
    return struct.pack("<Q", len(header)) + header + data


GOOD = save({"weight": np.ones(4, np.float32)})
WEIGHTS = {
    "pickle": ("w.safetensors", pickle.dumps({"weight": [1.0]})),
    "pickle by its own name": ("w.pt", pickle.dumps({"weight": [1.0]})),
    "torch archive": ("w.safetensors", zipped(("archive/data.pkl", pickle.dumps(print)))),
    "torch archive by its own name": ("w.zip", zipped(("archive/data.pkl", pickle.dumps(print)))),
    "header of 2**63 bytes": ("w.safetensors", struct.pack("<Q", 2**63) + bytes(100)),
    "header longer than the file": ("w.safetensors", struct.pack("<Q", 10**6) + b"{}"),
    "offsets beyond the file": ("w.safetensors", GOOD.replace(b"[0,16]", b"[0,99]")),
    "shape that needs more": ("w.safetensors", GOOD.replace(b"[4]", b"[9]")),
    "negative offsets": ("w.safetensors", safetensors(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}')),
    "overlapping tensors": (
        "w.safetensors",
        safetensors(
            b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
            bytes(4),
        ),
    ),
    "deep header": ("w.safetensors", safetensors(b"[" * 100_000)),
    "nothing": ("w.safetensors", b""),
    "polyglot with a zip": ("w.safetensors", GOOD + zipped(("data.pkl", pickle.dumps(print)))),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_weights_are_refused(attacked, base, what):
    url = f"{attacked}/model/nothing"
    assert requests.put(url, files={"file": ("w.safetensors", GOOD)}, timeout=20).status_code == 200
    answer = requests.put(url, files={"file": WEIGHTS[what]}, timeout=20)
    assert answer.status_code == 422, answer.text
    assert requests.get(url, timeout=10).content == GOOD


def test_a_file_that_is_two_things_is_taken_for_what_it_is_called_and_never_shown_as_another(attacked, base, tmp_path):
    page = b"<html><script>alert(1)</script></html>"
    dicom = forged(tmp_path)
    dicom = page.ljust(128) + dicom[128:]  # the preamble may hold anything
    told = requests.put(f"{attacked}/datastore/image", files={"file": ("x.dcm", dicom)}, timeout=20).json()
    answer = requests.get(f"{attacked}/datastore/image", params={"image": told["image"]}, timeout=20)
    assert answer.content == dicom
    assert "html" not in answer.headers["content-type"]
    assert answer.headers["content-disposition"].startswith("attachment")
    assert requests.delete(f"{attacked}/datastore/image", params={"id": told["image"]}, timeout=10).status_code == 200
    as_zip = requests.put(f"{attacked}/datastore/image", files={"file": ("x.zip", dicom)}, timeout=20)
    assert as_zip.status_code == 422
    nrrd_and_zip = image(tmp_path) + zipped(("../x", b"x"))
    assert (
        requests.put(f"{attacked}/datastore/image", files={"file": ("x.zip", nrrd_and_zip)}, timeout=20).status_code
        == 422
    )
