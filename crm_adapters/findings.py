"""Findings of a check as adapters write them: marked texts, and what they tell of as values."""

from __future__ import annotations

from collections.abc import Sequence

from crm_adapters.contract import Finding, FindingStatus

NAMED = 5
"""How many names a finding gives."""


def right(name: str, text: str, **values: object) -> Finding:
    """Something is right."""
    return Finding(name=name, status=FindingStatus.OK, text=text, values=values)


def doubtful(name: str, text: str, fix: str, **values: object) -> Finding:
    """Something is not as it should be, and calls are told all the same."""
    return Finding(name=name, status=FindingStatus.WARNING, text=text, fix=fix, values=values)


def wrong(name: str, text: str, fix: str, **values: object) -> Finding:
    """Something is wrong, and calls are not told or told wrongly."""
    return Finding(name=name, status=FindingStatus.ERROR, text=text, fix=fix, values=values)


def some_of(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" + {len(names) - NAMED}" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
