"""What is to be done with a study under review."""

from __future__ import annotations

from typing import Literal

from hepatic.harvest.book import Review
from hepatic.harvest.primary import disputed_primaries
from hepatic.harvest.rules import Rules
from hepatic.harvest.verdicts import State, doubtful, readers_done, settled, waits_for_boxes, was_boxed, was_read

StudyState = Literal["waiting", "boxing", "conflict", "done"]
"""Waiting for readers; to be boxed by hand; readers disagree; nothing is left to do."""


def study_state(review: Review, rules: Rules) -> StudyState:
    """Return what is to be done with a study."""
    held = settled(review, rules)
    done = len(readers_done(review)) >= rules.readers or was_boxed(review)
    inherits = bool(held and review.readings and all(one.inherited for one in held.values()))
    if not done and not inherits and not (was_read(review, rules) and not held):
        return "waiting"
    if waits_for_boxes(review):
        return "boxing"
    if disputed_primaries(review) or any(own.state is State.CONFLICT for _, own in doubtful(review, rules)):
        return "conflict"
    return "done"
