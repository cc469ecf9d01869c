"""Names, params and values, without a server."""

import json
import math
from enum import Enum
from pathlib import PurePosixPath

import numpy as np
import pytest

from hepatic.errors import BadInputError
from hepatic.store.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, base_name, safe_id, stem_of
from server.hiding import Hiding
from server.names import is_path_like, suffix_of
from server.params import cleaned, for_strategy, parsed
from server.plain import number, plain


@pytest.mark.parametrize(
    "name", ["case 1", "../up", "4: Ax T1/late", "C:\\a\\b", "x" * 300, "a\0b", "..", "Žena", "", ".hidden", "\ud800"]
)
def test_an_id_is_one_name_and_stays_what_it_is(name):
    made = safe_id(name)
    assert not is_path_like(made)
    assert made.isascii()
    assert safe_id(made) == made
    assert len(made) <= 128


def test_long_names_that_begin_alike_stay_apart():
    assert safe_id("x" * 300) != safe_id("x" * 301)
    assert base_name("x" * 300 + ".nrrd") != base_name("x" * 301 + ".nrrd")
    assert len({safe_id("x" * length) for length in range(1, 300)}) == 299
    assert safe_id(safe_id("x" * 125, unique="y")) == safe_id("x" * 125, unique="y")


@pytest.mark.parametrize(
    ("name", "suffix", "stem"),
    [
        ("C:\\Users\\a.b\\Scan.NII.GZ", ".nii.gz", "Scan"),
        ("/home/a/1.2.840.seg.nrrd", ".seg.nrrd", "1.2.840"),
        ("x.nrrd", ".nrrd", "x"),
    ],
)
def test_an_upload_name_gives_suffix_and_stem(name, suffix, stem):
    assert suffix_of(name, (*IMAGE_SUFFIXES, *LABEL_SUFFIXES), "the file") == suffix
    assert stem_of(base_name(name)) == stem


def test_a_refused_suffix_says_what_is_accepted():
    with pytest.raises(BadInputError, match=r"\.nii\.gz.*found \.exe"):
        suffix_of("virus.exe", IMAGE_SUFFIXES, "the file")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot open /srv/studies/a/b.nii.gz: no", "cannot open b.nii.gz: no"),
        ('File "/usr/lib/x.py", line 3', 'File "x.py", line 3'),
        ("C:\\Users\\k\\x.nrrd is gone", "x.nrrd is gone"),
        ("see http://host/a/b", "see http://host/a/b"),
        ("1/2 epochs, loss 0.3 / 0.4", "1/2 epochs, loss 0.3 / 0.4"),
        ("cannot open /mnt/My Studies/Doe John/x.dcm", "cannot open x.dcm"),
        ("from /mnt/a.nrrd to /mnt/b.nrrd", "from a.nrrd to b.nrrd"),
        ("see file:///mnt/My%20Studies/Doe/x.dcm", "see x.dcm"),
        ("see file:/mnt/Doe/x.dcm, file://host/mnt/y", "see x.dcm, y"),
    ],
)
def test_texts_lose_their_paths(text, told):
    hiding = Hiding()
    assert hiding.without_paths(text) == told
    hiding.add(["/", "/somewhere/else"])
    assert hiding.without_paths(text) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot open /data/My Studies (2)/Doe John/x.dcm: no", "cannot open x.dcm: no"),
        ("'/data/My Studies (2)/Doe, John/O'Neil (3)/x.dcm'", "'x.dcm'"),
        ("/data/My Studies (2) is full", "... is full"),
        ("/data/My Studies (2)/ is full", "... is full"),
        ("file:///data/My Studies (2)/Doe, John/x.dcm", "x.dcm"),
        ("'/data/My Studies (2)/a.dcm' and '/home/kim/b.dcm'", "'a.dcm' and 'b.dcm'"),
        ("HOME=/home/kim", "HOME=..."),
        ("/home/kimberley/x", "x"),
    ],
)
def test_known_folders_are_hidden_whatever_they_are_called(text, told):
    hiding = Hiding()
    hiding.add(["/data/My Studies (2)", "/home/kim"])
    assert hiding.without_paths(text) == told


def test_params_lose_what_only_the_server_decides():
    kept = {"threshold": 0.5, "foreground": [[1, 2, 3]], "label": "liver", "device": "cuda:1", "roi": [1] * 6}
    dropped = {
        "image": "x", "model": "x", "session": {}, "image_path": "x", "output_dir": "x", "file": "x",
        "bundle_path": "x",
        "result_extension": "/../x", "name": "../x", "save_label": True, "label_path": "x",
        "snapshot": "x", "imagenet": "x",
    }  # fmt: skip
    assert cleaned({**kept, **dropped}) == kept
    assert cleaned({"label": "/etc/passwd", "device": "/dev/sda", "result_extension": ".nrrd"}) == {
        "result_extension": ".nrrd"
    }
    assert cleaned(None) == {}


@pytest.mark.parametrize("odd", [[], {}, [".nrrd"], None, 3, True, "\ud800"])
def test_a_result_extension_of_any_kind_is_left_out_or_refused(odd):
    try:
        assert cleaned({"result_extension": odd}) == {}
    except BadInputError as refused:
        assert "half of one" in str(refused)  # noqa: PT017 - either is right


def test_half_a_character_is_refused_wherever_it_is():
    for text in (r'{"user": "\ud800"}', r'{"\udfff": 1}', r'{"a": [{"b": ["x\ud83d"]}]}'):
        with pytest.raises(BadInputError, match="half of one"):
            parsed(text)
    assert parsed(r'{"user": "\ud83d\ude00"}') == {"user": "\N{GRINNING FACE}"}


def test_a_form_field_holds_an_object():
    assert parsed(None) == parsed("") == parsed("null") == {}
    assert parsed('{"a": 1}') == {"a": 1}
    with pytest.raises(BadInputError):
        parsed("[]")


def test_deeply_nested_json_is_refused():
    for text in ('{"a":' * 100_000, '{"a":' * 100 + "1" + "}" * 100):
        with pytest.raises(BadInputError):
            parsed(text)
    with pytest.raises(BadInputError, match="levels"):
        cleaned({"a": json.loads("[" * 100 + "]" * 100)})
    assert parsed('{"a": [[[1]]]}') == {"a": [[[1]]]}


def test_a_strategy_is_told_the_model_and_the_tag_and_nothing_else_that_the_server_decides():
    given = {"model": "dsa_unet", "label_tag": "second", "labels": ["tumour"], "image": "x"}
    assert for_strategy(given) == {"model": "dsa_unet", "label_tag": "second", "labels": ["tumour"]}
    assert for_strategy({"model": None, "label_tag": ""}) == for_strategy(None) == {}
    for wrong in ({"model": "../x"}, {"model": ["a"]}, {"label_tag": "a/b"}, {"label_tag": 1.5}):
        with pytest.raises(BadInputError):
            for_strategy(wrong)


def test_any_value_becomes_json():
    class Colour(Enum):
        RED = "red"

    value = {
        Colour.RED: {1, 2},
        "array": np.arange(3, dtype=np.int16),
        "scalar": np.float32(0.5),
        "nan": math.nan,
        "inf": [np.inf, True],
        "path": PurePosixPath("a/b"),
        "bytes": b"x",
    }
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {
        "red": [1, 2], "array": [0, 1, 2], "scalar": 0.5, "nan": None, "inf": [None, True], "path": "a/b", "bytes": "x",
    }  # fmt: skip
    assert number(None) == number("x") == number(math.nan) == 0.0
    assert number(np.float64(0.25)) == 0.25
