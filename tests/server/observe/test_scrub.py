"""What a log may hold."""

import time
from pathlib import Path

import pytest

from server.hiding import HIDING, without_paths
from server.observe.names import NAMES, Names
from server.observe.scrub import scrubbed


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Image is not scored: Hans Mustermann.nrrd: expected a volume", "Mustermann Hans"),
        ("Adding New Image: Mustermann_Hans => Mustermann_Hans.nrrd", "Mustermann Hans"),
        ("cannot read /data/Mustermann Hans/x.nii.gz now", "Mustermann Hans data"),
        (r"C:\Users\Hans\Mustermann.dcm is broken", "Mustermann Hans Users"),
        ("file:///srv/Mustermann.zip", "Mustermann srv"),
        ("(0010,0010) Patient's Name PN: 'Mustermann^Hans'", "Mustermann Hans"),
        ("PatientID=47110815, and more", "47110815"),
        ('{"PatientBirthDate": "19450508"}', "19450508"),
        ("Mustermann^Hans^^Dr said", "Mustermann Hans"),
        ("van der Berg^Jan is here", "Berg Jan"),
        ("Mustermann^Hans: not a volume", "Mustermann Hans"),
        (f"{'x' * 300}Mustermann^Hans said", "Mustermann Hans"),
        (f"/data/{'x' * 300} Hans/Mustermann.dcm is broken", "Mustermann Hans data"),
        (f"bearer {'x' * 300}/Mustermann", "Mustermann"),
        ("GET http://pacs/studies?PatientName=Mustermann&x=1 failed", "Mustermann"),
        ("series 1.2.840.113619.2.55.3.604688 is odd", "604688"),
        ("Authorization: Bearer hep_abcdef0123", "abcdef0123"),
        ("sent bearer AbCdEf0123456789==", "AbCdEf0123456789"),
        ("it was eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl", "c2lnbmF0dXJl eyJzdWIi"),
        ("access_token=verysecret", "verysecret"),
        ("password: hunter2", "hunter2"),
    ],
)
def test_names_paths_and_secrets_are_taken_out(text: str, secret: str) -> None:
    clean = scrubbed(text)
    assert not [word for word in secret.split() if word in clean], clean


@pytest.mark.parametrize(
    "text",
    [
        "epoch 3 of 20, loss 0.512, 3.2 s",
        "torch 2.13.0 at http://127.0.0.1:8000",
        "a worker was lost (the worker ended with exit code -9); its work is given to the next",
        "Training dsa_ltdnet on the labels of 12 images",
        "Carry on, 2 of 3 patients are done",
    ],
)
def test_what_names_nobody_stays_as_it_is(text: str) -> None:
    assert scrubbed(text) == text


def test_the_lines_of_a_traceback_still_say_where() -> None:
    assert scrubbed('  File "/opt/app/server/worker.py", line 7, in infer') == '  File "worker.py", line 7, in infer'


def test_a_folder_of_this_machine_is_hidden_whatever_it_is_called(tmp_path: Path) -> None:
    root = tmp_path / "Klinik Musterstadt"
    HIDING.add([root])
    assert scrubbed(f"cannot list {root}/Anna Muster/a.nrrd").startswith("cannot list #")


def test_a_name_that_came_by_is_known_again_and_has_one_hash() -> None:
    NAMES.remember("Erika Musterfrau.nii.gz")
    lines = {scrubbed(f"{name} is odd") for name in ("Erika_Musterfrau", "Erika_Musterfrau")}
    assert len(lines) == 1
    assert "Musterfrau" not in lines.pop()
    assert scrubbed("reading Erika Musterfrau now").startswith("reading #")
    assert scrubbed("Erika_Musterfrau2 is another") == "Erika_Musterfrau2 is another"


def test_a_word_that_is_the_id_of_an_image_is_hidden() -> None:
    names, ids = Names(), {"Anna", "Anna-2"}
    known = lambda words: [word for word in words if word in ids]  # noqa: E731
    names.ask(known)
    assert names.without("Image Anna is left out, Anna-2.") == (
        f"Image {names.hidden('Anna')} is left out, {names.hidden('Anna-2')}."
    )
    names.ask_no_more(known)
    assert names.without("Anna") == "Anna"


def test_the_hash_of_a_name_needs_a_key_that_is_kept(tmp_path: Path) -> None:
    one, again, other = Names(), Names(), Names()
    one.use_key(tmp_path / "log.key")
    again.use_key(tmp_path / "log.key")
    assert one.hidden("Anna") == again.hidden("Anna") != other.hidden("Anna")
    assert (tmp_path / "log.key").stat().st_mode & 0o077 == 0


def test_a_key_that_a_crash_left_empty_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "log.key").touch()
    one, again = Names(), Names()
    one.use_key(tmp_path / "log.key")
    again.use_key(tmp_path / "log.key")
    assert one.hidden("Anna") == again.hidden("Anna")
    assert [path.name for path in tmp_path.iterdir()] == ["log.key"]


def test_only_so_many_names_are_kept() -> None:
    names = Names()
    names.remember(*(f"image{number}" for number in range(5000)))
    assert names.without("image4999") != "image4999"
    assert names.without("image0") == "image0"


@pytest.mark.parametrize("sent", ["a", "a.", "a ", "a^", ".", "\\\\", "1.2", "/a=", "eyJ-", "patient name ", " "])
def test_what_a_client_sends_cannot_keep_the_log_busy(sent: str) -> None:
    began = time.thread_time()
    scrubbed(sent * (20_000 // len(sent)) + "!")
    without_paths(sent * (20_000 // len(sent)) + "!")
    assert time.thread_time() - began < 0.5


def test_of_a_long_text_the_first_words_and_the_last_lines_are_kept() -> None:
    clean = scrubbed("It failed: " + "word " * 5000 + "\n" + "line\n" * 1000 + "ValueError: no")
    assert clean.startswith("It failed: word")
    assert clean.endswith("line\nValueError: no")
    assert len(clean) < 9000
