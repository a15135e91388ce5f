"""Texts for people: written in English here, translated by the service when it shows them."""

from __future__ import annotations


def marked(text: str) -> str:
    """The text itself; as `_("...")` it is found by the extractor of translations."""
    return text
