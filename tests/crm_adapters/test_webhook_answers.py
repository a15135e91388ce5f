"""What is read from a receiver's answer to `call.started`, whatever it is."""

from __future__ import annotations

import pytest

from crm_adapters.webhook.answers import Card, read_card


def test_what_no_page_and_no_database_takes_is_left_out() -> None:
    body = (
        rb'{"id": "crm-7", "name": "\ud800Olha\u0000\n Romashka", "responsible": "\udfff", "url": "https://a.example/"}'
    )
    assert read_card(body) == Card(id="crm-7", name="Olha Romashka", url="https://a.example/")


@pytest.mark.parametrize("word", ["null", "NULL"])
def test_what_evrotel_sends_for_nothing_is_no_id(word: str) -> None:
    assert read_card(b'{"id": "%s"}' % word.encode()) == Card()
