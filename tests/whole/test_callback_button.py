"""A visitor of a site asks for a call: the CRM has one call of the right kind, and knows where it was asked for."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Exchange, WebApps
from tests.running import wait_for
from tests.served import ServedHere
from tests.whole.amocrm import Account

SITE = "https://shop.example"
WISH = {
    "page": f"{SITE}/sale?utm_source=ads",
    "title": "Sale [b]",
    "referrer": "https://search.example/",
    "utm": {"utm_campaign": "autumn"},
}
Served = ServedHere


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.connections.store.FRESH_SECONDS", 0.0)


def ask(served: ServedHere, phone: str) -> Any:
    served.set(callback_origins=SITE, callback_extensions="101")
    answer = requests.post(
        f"{served.url}/callback/acme", json={"phone": phone} | WISH, headers={"Origin": SITE}, timeout=10
    )
    assert answer.status_code == 202
    return answer.json()["id"]


def comments(portal: Bitrix24) -> list[Any]:
    return [each for each in portal.account.activities if each.kind == "COMMENT"]


def test_bitrix24_has_a_call_of_type_4_a_lead_and_where_it_came_from(
    served: ServedHere, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    evrotel_apps.exchange = Exchange(transmitter=served.transmitter(), outcomes={"380671234567": ("ANSWERED", 42)})
    ask(served, "0671234567")
    wait_for(lambda: portal.calls and portal.calls[0].finished)
    [call] = portal.calls
    assert (call.type, call.phone_number, call.duration, call.user_id) == (4, "+380671234567", 42, 2)
    [lead] = call.created
    wait_for(lambda: lead.utm)
    assert lead.utm == {"UTM_SOURCE": "ads", "UTM_CAMPAIGN": "autumn"}
    [comment] = comments(portal)
    assert comment.owner is lead
    for part in ("Sale (b)", f"{SITE}/sale", "https://search.example/", "utm_campaign=autumn"):
        assert part in comment.description


def test_a_visitor_who_is_not_reached_is_somebody_s_task(
    served: ServedHere, portal: Bitrix24, evrotel_apps: WebApps
) -> None:
    evrotel_apps.refuse = True
    ask(served, "0987858227")
    wait_for(lambda: [each for each in portal.account.activities if each.kind == "TODO"])
    [todo] = [each for each in portal.account.activities if each.kind == "TODO"]
    assert f"{SITE}/sale" in todo.description
    assert [call.type for call in portal.calls] == [4]


def test_amocrm_reads_where_it_came_from(account: Account, evrotel_apps: WebApps) -> None:
    evrotel_apps.exchange = Exchange(transmitter=account.transmitter(), outcomes={"380987858227": ("ANSWERED", 42)})
    ask(account, "0987858227")
    [note] = wait_for(account.amo.call_notes)
    assert f"{SITE}/sale" in note.params["call_result"]
