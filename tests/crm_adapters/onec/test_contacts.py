"""Whose number it is, however a base keeps it and whatever it publishes."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

import pytest

from crm_adapters.errors import Refused
from crm_adapters.onec.client import Base
from crm_adapters.onec.contacts import by_its_end, find_contact
from crm_adapters.onec.metadata import Schema
from crm_adapters.onec.profiles import PROFILES

NUMBER, KEY = "+380671234567", "6f0d3c1e-0000-0000-0000-000000000001"
CATALOG = "Catalog_Партнеры"
TABLE = f"{CATALOG}_КонтактнаяИнформация"


class Published:
    """A base with one contact; `takes` are the words of filters that it understands."""

    def __init__(self, takes: str, row: dict[str, Any]) -> None:
        self.takes, self.row, self.asked = takes, row, [""]
        self.url = f"https://{takes}"

    def schema(self) -> Schema:
        return Schema(sets={CATALOG: frozenset(), TABLE: frozenset()})

    def rows(self, name: str, **query: str) -> list[dict[str, Any]]:
        self.asked.append(f"{name} {query['filter']}")
        if self.takes not in query["filter"]:
            raise Refused("no")
        return [{"Ref_Key": KEY, **self.row}]

    def get(self, name: str, key: str) -> dict[str, Any]:
        return {"Ref_Key": key, "Description": name}


@pytest.mark.parametrize(
    ("takes", "row"),
    [
        ("endswith(Представление", {"НомерТелефона": "", "Представление": "067.123.45.67"}),
        ("НомерТелефона eq '0671234567'", {"НомерТелефона": "0671234567"}),
        ("/any(d: d/НомерТелефона", {"КонтактнаяИнформация": [{"НомерТелефона": "380671234567"}]}),
        ("/any(d: d/НомерТелефона", {}),
    ],
)
def test_a_base_is_asked_in_the_ways_that_it_takes(takes: str, row: dict[str, Any]) -> None:
    base = Published(takes, row)
    found = find_contact(cast(Base, base), PROFILES["bsp"], NUMBER, {})
    assert found is not None
    assert found.key == KEY
    base.asked.clear()
    assert find_contact(cast(Base, base), PROFILES["bsp"], NUMBER, {}) == found
    assert len(base.asked) <= 2, "what it has refused is not asked again at each call"


def test_the_question_fits_into_an_address_that_every_web_server_takes() -> None:
    assert len(quote(by_its_end(NUMBER), safe="")) < 1900
