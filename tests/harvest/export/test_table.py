"""Verdicts can be opened as a table."""

import csv
import io
from dataclasses import replace

from hepatic.harvest.export.reviewed import Decision
from hepatic.harvest.export.table import COLUMNS, seconds_taken, write_table


def rows_of(*studies):
    return list(csv.DictReader(io.StringIO(write_table(studies).decode(), newline="")))


def test_every_decision_has_a_row_and_so_has_a_candidate_without_any(study):
    rows = rows_of(study)
    assert [(row["candidate_uid"], row["reader"], row["reader_verdict"]) for row in rows] == [
        ("2.25.1", "ann", "true"), ("2.25.1", "bo", "true"), ("2.25.2", "ann", "false"),
        ("2.25.3", "ann", "true"), ("2.25.3", "bo", "false"), ("2.25.4", "", ""),
    ]  # fmt: skip
    assert list(rows[0]) == list(COLUMNS)
    assert all(None not in row and None not in row.values() for row in rows)


def test_a_row_says_where_the_lesion_is_and_what_was_decided(study):
    row = rows_of(study)[0]
    assert (row["x_min_mm"], row["z_max_mm"], row["centre_x_mm"], row["size_z_mm"]) == (
        "-14.4",
        "112.5",
        "-10.4",
        "10.0",
    )
    assert (row["verdict"], row["primary"], row["study_complete"], row["phases"]) == (
        "true",
        "yes",
        "yes",
        "arterial venous",
    )
    assert (row["seconds"], row["score"]) == ("4.0", "0.83")


def test_a_conflict_has_no_verdict(study):
    assert [row["verdict"] for row in rows_of(study) if row["state"] == "conflict"] == ["", ""]


def test_no_cell_is_a_formula_and_numbers_stay_numbers(study):
    hostile = replace(study, patient_id="=HYPERLINK(1)", study_uid="\t=1+1", candidates=study.candidates[:1])
    signs = [replace(hostile, patient_id=f"{sign}cmd") for sign in "+-@\r"]
    rows = rows_of(hostile, *signs)
    assert {row["patient_id"][:2] for row in rows} == {"'=", "'+", "'-", "'@", "'\r"}
    assert rows[0]["study_uid"] == "'\t=1+1"
    assert rows[0]["x_min_mm"] == "-14.4"


def test_no_formula_is_smuggled_in_behind_the_separator_of_another_spreadsheet(study):
    said = write_table([replace(study, patient_id='P1;=HYPERLINK(A1);"@x', candidates=study.candidates[:1])])
    header, row = said.decode().splitlines()[:2]
    assert all(line.startswith('"') and line.endswith('"') for line in (header, row))
    for separator in ",;":
        cells = [
            cell for line in csv.reader(io.StringIO(said.decode(), newline=""), delimiter=separator) for cell in line
        ]
        assert not [cell for cell in cells if cell.startswith(("=", "@"))]


def test_time_in_a_hidden_tab_does_not_count_and_a_clock_that_went_back_says_nothing():
    decision = Decision("ann", "true", 1, "2026-03-02T10:00:00+00:00", "2026-03-02T10:00:09+00:00", 6500)
    assert seconds_taken(decision) == 2.5
    assert seconds_taken(replace(decision, decided_at="2026-03-02T09:59:00+00:00")) is None
    assert seconds_taken(replace(decision, shown_at="")) is None
