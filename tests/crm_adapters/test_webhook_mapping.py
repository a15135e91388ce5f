"""The bodies that own CRMs get."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from crm_adapters.events import Announced, CallEnded
from crm_adapters.webhook.mapping import message_of
from tests.crm_adapters.samples import event_of

LIMIT = 20 * 1024
"""Of the specification, in bytes."""
TEXT = st.text(min_size=0, max_size=50).map(lambda text: text * 400)


@given(st.dictionaries(st.sampled_from(["page", "title", "referrer", "site", "consent_version"]), TEXT))
def test_whatever_a_visitor_writes_the_body_stays_below_the_limit(data: dict[str, str]) -> None:
    message = message_of(Announced(id="1", name="callback.requested", at=datetime.now(UTC), data=data))
    assert message is not None
    assert len(message.body.encode()) < LIMIT
    assert set(json.loads(message.body)["data"]) == set(data)


@given(TEXT, st.dictionaries(st.sampled_from(["utm_source", "utm_medium", "utm_campaign", "utm_term"]), TEXT))
def test_so_it_does_of_a_call(text: str, tags: dict[str, str]) -> None:
    ended: CallEnded = event_of(CallEnded, "2", reason=text, campaign=text, tags=tags)
    message = message_of(ended)
    assert message is not None
    assert len(message.body.encode()) < LIMIT
    assert json.loads(message.body)["data"]["callid"] == ended.call_id
