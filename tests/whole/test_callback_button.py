"""A visitor of a site asks for a call: the CRM has one call of the right kind, and knows where it was asked for."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Exchange, WebApps
from tests.running import Installation, wait_for
from tests.served import ServedHere
from tests.whole.amocrm import Account

SITE = "https://shop.example"
WISH = {
    "page": f"{SITE}/sale?utm_source=ads",
    "title": "Sale [b]",
    "referrer": "https://search.example/",
    "utm": {"utm_campaign": "autumn"},
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.connections.store.FRESH_SECONDS", 0.0)


@pytest.fixture
def database_url(postgresql_url: str) -> str:
    """For the processes; what is served in this one is on SQLite."""
    return postgresql_url


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


def test_a_stranger_who_was_not_reached_is_a_contact_with_a_lead_in_amocrm(
    account: Account, evrotel_apps: WebApps
) -> None:
    evrotel_apps.exchange = Exchange(transmitter=account.transmitter(), outcomes={"380671234567": ("NO ANSWER", 0)})
    ask(account, "0671234567")
    [note] = wait_for(account.amo.call_notes)
    assert f"{SITE}/sale" in note.params["call_result"]
    [lead] = account.amo.account.leads.values()
    assert lead.name == "Зворотний дзвінок +380671234567"


@pytest.mark.processes
def test_whatever_dies_a_visitor_is_called_once(running: Installation, evrotel_apps: WebApps) -> None:
    """The web process right after its answer, the worker while it asks Evrotel."""
    running.command("connection", "set", "acme", f"callback_origins={SITE}", "callback_extensions=101")
    running.kill("worker")
    address = f"{running.url}/callback/acme"
    answer = requests.post(address, data={"phone": "0671234567"}, headers={"Origin": SITE}, timeout=10)
    running.kill("web")
    assert answer.status_code == 202
    evrotel_apps.answer_seconds = 30
    running.start_worker()
    wait_for(lambda: evrotel_apps.requests)
    running.kill("worker")
    evrotel_apps.answer_seconds = 0
    running.start_worker()
    running.start_web()
    state = requests.get(f"{address}/requests/{answer.json()['id']}", timeout=10).json()["state"]
    assert state == "calling_operator"
    assert len([each for each in evrotel_apps.requests if each.path == "/webapp/"]) == 1
