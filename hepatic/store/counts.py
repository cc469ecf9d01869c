"""How much there is in a store, kept by the database itself: triggers count along with every change.

Counting anew takes a time that grows with the store, and viewers ask at every click. A trigger has no ``INSERT OR
IGNORE``: the statement that fires it decides what a conflict does.
"""
# ruff: noqa: S608 - statements are put together from constants of this file

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

_HERE = "coalesce((SELECT present FROM image WHERE id = {row}.image_id), 0)"
_COUNT_LABELS = """
  UPDATE amount SET n = n {sign} 1 WHERE kind = 'label' AND tag IN (SELECT tag FROM head WHERE image_id = {row}.id);
  UPDATE amount SET n = n {sign} 1 WHERE kind = 'segment'
    AND (tag, name) IN (SELECT tag, name FROM segment WHERE image_id = {row}.id);"""
_JOIN_PATIENT = """
  INSERT INTO patient SELECT NEW.patient_id, 0
    WHERE NOT EXISTS (SELECT 1 FROM patient WHERE id = NEW.patient_id);
  UPDATE patient SET images = images + 1 WHERE id = NEW.patient_id;"""
_LEAVE_PATIENT = """
  UPDATE patient SET images = images - 1 WHERE id = OLD.patient_id;
  DELETE FROM patient WHERE id = OLD.patient_id AND images = 0;"""
_COME = f"""
  UPDATE amount SET n = n + 1 WHERE kind = 'images';
  UPDATE amount SET n = n - 1 WHERE kind = 'missing' AND EXISTS (SELECT 1 FROM head WHERE image_id = NEW.id);
  {_COUNT_LABELS.format(sign="+", row="NEW")}{_JOIN_PATIENT}"""
_GO = f"""
  UPDATE amount SET n = n - 1 WHERE kind = 'images';
  UPDATE amount SET n = n + 1 WHERE kind = 'missing' AND EXISTS (SELECT 1 FROM head WHERE image_id = NEW.id);
  {_COUNT_LABELS.format(sign="-", row="NEW")}{_LEAVE_PATIENT}"""

SCHEMA = (
    """CREATE TABLE amount (
         kind TEXT NOT NULL, tag TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (kind, tag, name)
       ) WITHOUT ROWID""",
    "CREATE TABLE patient (id TEXT PRIMARY KEY, images INTEGER NOT NULL) WITHOUT ROWID",
    # what a store has that was made before there were counts
    "INSERT INTO patient SELECT patient_id, count(*) FROM image WHERE present GROUP BY patient_id",
    "INSERT INTO amount SELECT 'images', '', '', count(*) FROM image WHERE present",
    "INSERT INTO amount SELECT 'patients', '', '', count(*) FROM patient",
    "INSERT INTO amount SELECT 'unread', '', '', count(*) FROM file WHERE broken",
    """INSERT INTO amount SELECT 'missing', '', '', count(*) FROM image
         WHERE NOT present AND EXISTS (SELECT 1 FROM head WHERE image_id = image.id)""",
    """INSERT INTO amount SELECT 'label', tag, '', coalesce(sum(present), 0) FROM head JOIN image ON id = image_id
         GROUP BY tag""",
    """INSERT INTO amount SELECT 'segment', tag, name, coalesce(sum(present), 0)
         FROM segment JOIN image ON id = image_id GROUP BY tag, name""",
    f"CREATE TRIGGER count_new AFTER INSERT ON image WHEN NEW.present BEGIN {_COME} END",
    f"CREATE TRIGGER count_back AFTER UPDATE OF present ON image WHEN NEW.present > OLD.present BEGIN {_COME} END",
    f"CREATE TRIGGER count_gone AFTER UPDATE OF present ON image WHEN NEW.present < OLD.present BEGIN {_GO} END",
    f"""CREATE TRIGGER count_moved AFTER UPDATE OF patient_id ON image
          WHEN NEW.patient_id <> OLD.patient_id AND NEW.present AND OLD.present
          BEGIN {_JOIN_PATIENT}{_LEAVE_PATIENT} END""",
    """CREATE TRIGGER count_patient AFTER INSERT ON patient
         BEGIN UPDATE amount SET n = n + 1 WHERE kind = 'patients'; END""",
    """CREATE TRIGGER uncount_patient AFTER DELETE ON patient
         BEGIN UPDATE amount SET n = n - 1 WHERE kind = 'patients'; END""",
    """CREATE TRIGGER count_broken AFTER INSERT ON file WHEN NEW.broken
         BEGIN UPDATE amount SET n = n + 1 WHERE kind = 'unread'; END""",
    """CREATE TRIGGER uncount_broken AFTER DELETE ON file WHEN OLD.broken
         BEGIN UPDATE amount SET n = n - 1 WHERE kind = 'unread'; END""",
    f"""CREATE TRIGGER count_label AFTER INSERT ON head BEGIN
          INSERT INTO amount SELECT 'label', NEW.tag, '', 0
            WHERE NOT EXISTS (SELECT 1 FROM amount WHERE kind = 'label' AND tag = NEW.tag);
          UPDATE amount SET n = n + {_HERE.format(row="NEW")} WHERE kind = 'label' AND tag = NEW.tag;
          UPDATE amount SET n = n + 1 WHERE kind = 'missing' AND NOT {_HERE.format(row="NEW")}
            AND (SELECT count(*) FROM head WHERE image_id = NEW.image_id) = 1; END""",
    f"""CREATE TRIGGER uncount_label AFTER DELETE ON head BEGIN
          UPDATE amount SET n = n - {_HERE.format(row="OLD")} WHERE kind = 'label' AND tag = OLD.tag;
          UPDATE amount SET n = n - 1 WHERE kind = 'missing' AND NOT {_HERE.format(row="OLD")}
            AND NOT EXISTS (SELECT 1 FROM head WHERE image_id = OLD.image_id); END""",
    f"""CREATE TRIGGER count_segment AFTER INSERT ON segment BEGIN
          INSERT INTO amount SELECT 'segment', NEW.tag, NEW.name, 0
            WHERE NOT EXISTS (SELECT 1 FROM amount WHERE kind = 'segment' AND tag = NEW.tag AND name = NEW.name);
          UPDATE amount SET n = n + {_HERE.format(row="NEW")}
            WHERE kind = 'segment' AND tag = NEW.tag AND name = NEW.name; END""",
    f"""CREATE TRIGGER uncount_segment AFTER DELETE ON segment BEGIN
          UPDATE amount SET n = n - {_HERE.format(row="OLD")}
            WHERE kind = 'segment' AND tag = OLD.tag AND name = OLD.name; END""",
)  # fmt: skip
"""Added in the index's second version."""


@dataclass(frozen=True)
class Counts:
    """How much there is.

    Attributes:
        labels: number of labels by tag.
        segments: number of labels by tag and the names of their segments.
        unread: files that are broken images.
        missing: images that have gone and left labels.
    """

    images: int
    patients: int
    labels: Mapping[str, int]
    segments: Mapping[str, Mapping[str, int]]
    unread: int
    missing: int


def counts(connection: sqlite3.Connection) -> Counts:
    """Return how much there is, whatever the size of the store in the same time."""
    whole: dict[str, int] = {}
    labels: dict[str, int] = {}
    segments: dict[str, dict[str, int]] = {}
    for kind, tag, name, n in connection.execute("SELECT kind, tag, name, n FROM amount"):
        if kind == "label" and n:
            labels[tag] = n
        elif kind == "segment" and n:
            segments.setdefault(tag, {})[name] = n
        elif not tag:
            whole[kind] = n
    return Counts(whole["images"], whole["patients"], labels, segments, whole["unread"], whole["missing"])
