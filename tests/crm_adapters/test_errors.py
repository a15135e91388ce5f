"""Errors go from thread to thread and from one command to all that wait for the same."""

from __future__ import annotations

import copy

import pytest

from crm_adapters import errors

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AdapterError)]


@pytest.mark.parametrize("kind", ALL)
def test_a_copy_says_the_same(kind: type[errors.AdapterError]) -> None:
    error = kind("why", code="CODE")
    vars(error)["retry_after"] = 7.0
    copied = copy.copy(error)
    assert (type(copied), str(copied), vars(copied)) == (kind, "why", vars(error))
