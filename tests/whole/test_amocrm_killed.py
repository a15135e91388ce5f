"""Workers killed between what amoCRM did and what they learned of it; two at once: each call is there once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulators.amocrm import AmoCRM
from tests.emulators.amocrm.faults import Fault
from tests.emulators.evrotel import Transmitter
from tests.running import TOKEN, Installation, wait_for
from tests.whole.amocrm import ANSWERED, CLIENT, STRANGER, local_now

pytestmark = pytest.mark.processes
CALLS = "/api/v4/calls"


@pytest.fixture
def deployed(tmp_path: Path, database_url: str, amo: AmoCRM) -> Iterator[Installation]:
    """The web server up, the account signed in to by a long-lived token, no worker yet."""
    deployed = Installation(tmp_path, database_url)
    settings = {
        "evrotel_token": TOKEN,
        "amocrm_long_lived_token": amo.long_lived_token(),
        "amocrm_domain": amo.address,
        "extensions": "101=8",
    }
    deployed.add("acme", "amocrm", settings)
    deployed.start_web()
    yield deployed
    deployed.close()


def play(deployed: Installation, client: str, direction: str = "o") -> str:
    evrotel = Transmitter(f"{deployed.url}/evrotel/acme/events", TOKEN)
    numbers = ("101", client) if direction == "o" else (client, "101")
    start = evrotel.start(*numbers, direction, calldate=local_now())
    assert evrotel.end(start.callid, direction, **ANSWERED, calldate=None, recfile="NULL").status == 200
    return start.callid


def uniqs(amo: AmoCRM) -> list[str]:
    waiting = [entry.metadata["uniq"] for entry in amo.unsorted]
    return sorted([note.params["uniq"] for note in amo.call_notes()] + waiting)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_killed_worker_leaves_no_call_behind_and_none_twice(deployed: Installation, amo: AmoCRM) -> None:
    deployed.start_worker("first")
    unanswered = amo.faults.next("POST", CALLS, Fault.silence(effect=True))
    told = [play(deployed, CLIENT)]
    wait_for(lambda: amo.calls)
    deployed.kill("first")
    unanswered.clear()
    began = time.monotonic()
    told.append(play(deployed, STRANGER, "i"))
    for name in ("second", "third"):
        deployed.start_worker(name)
    told += [play(deployed, CLIENT) for _ in range(10)]
    wait_for(lambda: len(uniqs(amo)) == len(told), 40)
    time.sleep(1)
    assert uniqs(amo) == sorted(told)
    assert time.monotonic() - began < 30
    assert amo.violations == []
