"""What 1C's answers mean, and what its settings may be."""

from __future__ import annotations

import json

import pytest

from crm_adapters.asking import Reply
from crm_adapters.errors import AdapterError, TryAgain, Unreachable
from crm_adapters.onec.answers import Exceptional, answer_of, error_of, no_answer
from crm_adapters.onec.fields import base_of, clean_url


def error(status: int, code: str = "", retry_after: float | None = None) -> AdapterError | None:
    body = json.dumps({"odata.error": {"code": code, "message": {"lang": "ru", "value": "Ошибка"}}}) if code else "no"
    return error_of(answer_of(Reply(status=status, content=body.encode(), retry_after=retry_after)))


def test_a_busy_base_says_for_how_long() -> None:
    found = error(503, retry_after=90)
    assert isinstance(found, Unreachable)
    assert found.retry_after == 90


def test_a_document_that_was_changed_meanwhile_is_no_rule_of_the_configuration() -> None:
    assert type(error(412, "-1")) is TryAgain
    assert type(error(500, "-1")) is Exceptional


def test_no_answer_names_the_address_that_it_should_be() -> None:
    assert "/odata/standard.odata" in str(no_answer(ConnectionError(), "https://1c.example/odata/standard.odata/X"))


@pytest.mark.parametrize("more", ["", "/", "/odata/standard.odata", "/odata/standard.odata/$metadata", "/hs/telephony"])
def test_an_address_may_be_copied_from_wherever_it_was_tried(more: str) -> None:
    cleaned = clean_url(f"https://1c.example/base{more}")
    assert base_of(cleaned) == "https://1c.example/base" + ("/hs/telephony" if more == "/hs/telephony" else "")
