"""One call told to an own CRM and to 1C while both are slow, down and refusing and workers are killed: once each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulators.evrotel import Transmitter
from tests.emulators.onec import Fault, OneC
from tests.emulators.onec.faults import exception, page
from tests.emulators.webhook import OwnCRM, Script
from tests.emulators.webhook.crm import SECRET
from tests.running import TOKEN, Installation, wait_for

CALLS = 12
DOCUMENT = "Document_ТелефонныйЗвонок"


@pytest.fixture
def crm() -> Iterator[OwnCRM]:
    with OwnCRM() as crm:
        yield crm


@pytest.fixture
def base() -> Iterator[OneC]:
    with OneC() as base:
        yield base


@pytest.mark.processes
def test_each_is_told_once_whatever_happens(tmp_path: Path, database_url: str, crm: OwnCRM, base: OneC) -> None:
    there = Installation(tmp_path, database_url)
    there.add("own", "webhook", {"evrotel_token": TOKEN, "webhook_url": crm.url, "webhook_secret": SECRET})
    values = {"onec_url": base.url, "onec_user": base.user, "onec_password": base.password}
    there.add("base", "onec", {"evrotel_token": TOKEN} | values)
    crm.scripts = [Script(seconds=0.5), Script(500), Script(drop=True, effect=True), Script(503), Script(302)]
    slow, lost = Fault(seconds=0.5), Fault(drop=True, effect=True)
    base.fail("POST", DOCUMENT, slow, lost, page(502), exception(), Fault(drop=True), lost, slow)
    senders = [Transmitter(f"{there.url}/evrotel/{name}/events", TOKEN) for name in ("own", "base")]
    try:
        there.start_web()
        there.start_worker("one")
        for number in range(CALLS):
            for evrotel in senders:
                callid = evrotel.start(f"067{number:07d}", "0441112233").callid
                assert evrotel.end(callid, disposition="ANSWERED", billsec="5").status == 200
            if number in {3, 7}:
                there.kill("one")
                crm.go_down()
                base.go_down()
                there.start_worker("one")
                crm.come_up()
                base.come_up()
        there.start_worker("two")
        wait_for(lambda: len(crm.of_type("call.finished")) == CALLS and len(base.documents(DOCUMENT)) == CALLS, 60)
    finally:
        there.close()
    assert sorted(crm.types()) == ["call.finished"] * CALLS + ["call.started"] * CALLS
    numbers = [made["АбонентКакСвязаться"] for made in base.documents(DOCUMENT)]
    assert len(set(numbers)) == CALLS
    assert base.complaints == []
    assert crm.refusals == []
