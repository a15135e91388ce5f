"""What Evrotel's answers to a played message mean for a campaign: a result, and whether the number is tried again."""

from __future__ import annotations

import re
from enum import StrEnum

from connector.evrotel.client import DialAnswer, Verdict


class Outcome(StrEnum):
    """What became of a try. The first five are dispositions; `unclear`: it may have been made or not."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CONGESTION = "congestion"
    FAILED = "failed"
    UNCLEAR = "unclear"
    NOT_MADE = "not_made"
    """Evrotel did not try: it is no try of ours either."""


_WORDS = {
    "answer": Outcome.ANSWERED,
    "answered": Outcome.ANSWERED,
    "good": Outcome.ANSWERED,
    "busy": Outcome.BUSY,
    "noanswer": Outcome.NO_ANSWER,
    "congestion": Outcome.CONGESTION,
    "none": Outcome.CONGESTION,
    "bad": Outcome.FAILED,
    "failed": Outcome.FAILED,
}
"""wearesho-team/evrotel, src/AutoDial/Disposition.php; its sister yii2-evrotel waits after `good` as after `ANSWER` and
dials again after `CONGESTION` and `none` alike."""

REDIALLED = (Outcome.BUSY, Outcome.NO_ANSWER, Outcome.CONGESTION)
"""What is tried again unless a campaign says otherwise."""
REDIALLABLE = (*REDIALLED, Outcome.FAILED)


def outcome_of(answer: DialAnswer) -> Outcome:
    """The outcome by Evrotel's answer alone."""
    match answer.verdict:
        case Verdict.TOO_SOON | Verdict.UNREACHABLE:
            return Outcome.NOT_MADE
        case Verdict.REFUSED:
            return Outcome.FAILED
        case Verdict.UNCLEAR:
            return Outcome.UNCLEAR
    return _WORDS.get(re.sub(r"[^a-z]", "", answer.text.lower()), Outcome.UNCLEAR)


def is_tried_again(outcome: Outcome, tries: int, attempts: int, redial: list[str]) -> bool:
    """Whether a number that was tried so often is tried once more; `attempts` is the most there may be."""
    return outcome in redial and outcome in REDIALLABLE and tries < attempts
