"""What is read from a receiver's answer to a start, whatever it is, and the end that has its callid."""

from __future__ import annotations

import pytest

from crm_adapters.events import Inbound
from crm_adapters.webhook.answers import Card, read_card
from crm_adapters.webhook.forwarding import with_callid


def test_what_no_page_and_no_database_takes_is_left_out() -> None:
    body = (
        rb'{"id": "crm-7", "name": "\ud800Olha\u0000\n Romashka", "responsible": "\udfff", "url": "https://a.example/"}'
    )
    assert read_card(body) == Card(id="crm-7", name="Olha Romashka", url="https://a.example/")


@pytest.mark.parametrize("word", ["null", "NULL"])
def test_what_evrotel_sends_for_nothing_is_no_id(word: str) -> None:
    assert read_card(b'{"id": "%s"}' % word.encode()) == Card()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"callstatus=end&CallId=1&note=%CF%F0+%20&=", b"callstatus=end&note=%CF%F0+%20&=&callid=old-1"),
        (rb'{"note": "\ud800", "n": 10000000000000000001, "callid": "1"}',) * 2,
    ],
)
def test_of_a_forwarded_end_one_field_is_changed(body: bytes, expected: bytes) -> None:
    changed = with_callid(Inbound(content_type="", body=b"\xef\xbb\xbf" + body), "old-1").body
    assert changed == expected.replace(b'"1"', b'"old-1"')
