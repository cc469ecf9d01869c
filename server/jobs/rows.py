"""How jobs lie in their table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from hepatic.store.database import Schema
from server.jobs.job import Job


def _count_claims(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE job ADD COLUMN claims INTEGER NOT NULL DEFAULT 0")
    connection.execute("UPDATE job SET claims = attempt")


JOBS = Schema(
    2,
    """
CREATE TABLE job (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, spec TEXT NOT NULL,
  priority INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  attempt INTEGER NOT NULL DEFAULT 0, max_attempts INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '',
  lease_until REAL NOT NULL DEFAULT 0, device TEXT NOT NULL DEFAULT '', progress REAL NOT NULL DEFAULT 0,
  seconds_left REAL, items INTEGER NOT NULL DEFAULT 0, items_done INTEGER NOT NULL DEFAULT 0,
  items_failed INTEGER NOT NULL DEFAULT 0, cancel INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '',
  result TEXT NOT NULL DEFAULT 'null', asked_by TEXT NOT NULL, created REAL NOT NULL, started REAL, ended REAL,
  revision INTEGER NOT NULL
);
CREATE INDEX job_turn ON job(kind, state, priority, number);
CREATE UNIQUE INDEX job_revision ON job(revision);
CREATE TABLE job_item (
  job INTEGER NOT NULL, item TEXT NOT NULL, place INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'waiting'
  CHECK (state IN ('waiting', 'done', 'failed')), result TEXT NOT NULL DEFAULT 'null', PRIMARY KEY (job, item)
) WITHOUT ROWID;
CREATE TABLE job_line (
  job INTEGER NOT NULL, number INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY (job, number)
) WITHOUT ROWID;
""",
    "table of jobs",
    "jobs that had not ended are forgotten then, what they have written is not",
    upgrades=(_count_claims,),
)
COLUMNS = ", ".join(field.name for field in fields(Job))
NEXT = "revision = (SELECT max(revision) + 1 FROM job)"
"""What every change of a job sets."""


def job_of(row: tuple[Any, ...]) -> Job:
    """Return the job of a row with these columns."""
    values = dict(zip((field.name for field in fields(Job)), row, strict=True))
    values["spec"], values["result"] = json.loads(values["spec"]), json.loads(values["result"])
    values["cancel"] = bool(values["cancel"])
    return Job(**values)


def marks(values: Sequence[object]) -> str:
    """Return the place holders of so many values."""
    return ", ".join("?" * len(values))
