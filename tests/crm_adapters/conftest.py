"""Every CRM in turn, on its stage, for the suite over the registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from evrotel_example_crm import DESCRIPTION as EXAMPLE

from connector.connections.keys import ALL_FIELDS
from crm_adapters.registry import _PACKAGES, DESCRIPTIONS
from tests.crm_adapters.stages import EVERY, STAGES
from tests.crm_adapters.stages.stage import Stage


@pytest.fixture(params=sorted(EVERY))
def slug(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == EXAMPLE.slug:  # as if it was installed
        monkeypatch.setitem(DESCRIPTIONS, EXAMPLE.slug, EXAMPLE)
        monkeypatch.setitem(_PACKAGES, EXAMPLE.slug, "evrotel_example_crm")
        for field in EXAMPLE.fields:
            monkeypatch.setitem(ALL_FIELDS, field.key, field)
    return str(request.param)


@pytest.fixture
def stage(slug: str) -> Iterator[Stage]:
    with STAGES[slug]() as stage:
        yield stage
