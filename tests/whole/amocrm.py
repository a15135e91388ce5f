"""What the tests of amoCRM have in common."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import requests
from sqlalchemy import select

from connector.connections.one_use import new_state
from connector.connections.store import Connection
from connector.models import Attempt, Call, Delivery, DeliveryState
from tests.emulators.amocrm import AmoCRM
from tests.emulators.evrotel import Transmitter
from tests.served import TOKEN, ServedAmoCRM

LINE, CLIENT, STRANGER = "0443334455", "0987858227", "0501112233"
ANSWERED = {"billsec": "30", "disposition": "ANSWERED"}
KYIV = ZoneInfo("Europe/Kyiv")
_seconds = itertools.count()


def local_now() -> str:
    """A time of its own for each call: the same numbers at the same second are the same call."""
    moment = datetime.now(KYIV) - timedelta(seconds=60) + timedelta(seconds=next(_seconds))
    return moment.strftime("%Y-%m-%d %H:%M:%S")


class Account(ServedAmoCRM):
    """A connector and the account that it is connected to."""

    amo: AmoCRM

    def ring(self, client: str = CLIENT, ours: str = LINE, direction: str = "i") -> str:
        """A start; its callid."""
        numbers = (client, ours) if direction == "i" else (ours, client)
        start = self.transmitter().start(*numbers, direction, calldate=local_now())
        assert start.status == 200
        return start.callid

    def hang_up(self, callid: str, direction: str = "i", **end: Any) -> None:
        """An end; missed unless `end` says otherwise."""
        values = {"calldate": None} | {"billsec": "0", "disposition": "NO ANSWER", "recfile": "NULL"} | end
        assert self.transmitter().end(callid, direction, **values).status == 200

    def ring_at(self, connection: str, client: str, ours: str) -> None:
        """A start at another connection."""
        evrotel = Transmitter(f"{self.url}/evrotel/{connection}/events", TOKEN)
        assert evrotel.start(client, ours, "i", calldate=local_now()).status == 200

    def connect_other(self, amo: AmoCRM, name: str) -> None:
        """A second connection, to another account."""
        values = {
            "evrotel_token": TOKEN,
            "amocrm_client_id": amo.client_id,
            "amocrm_client_secret": amo.client_secret,
        }
        here = self.deployment
        made = here.connections.add(name, "amocrm", values)
        query = amo.callback_query(state=new_state(here.database, made.id))
        answer = requests.get(f"{self.url}/amocrm/{name}/callback", params=query, timeout=30)
        assert answer.status_code == 200

    def state(self) -> Connection:
        """The connection as it is now."""
        found = self.deployment.connections.by_id(self.deployment.connections.get("acme").id)
        assert found is not None
        return found

    def notes(self) -> set[str | None]:
        """Why calls stay in the journal."""
        with self.deployment.database.read() as db:
            return set(db.execute(select(Call.note)).scalars())

    def pending(self) -> list[tuple[str, str | None]]:
        """What is still to be told: kind and error of each."""
        return self._deliveries(DeliveryState.PENDING)

    def attempts(self) -> str:
        """All that is kept of what was sent and answered."""
        with self.deployment.database.read() as db:
            return "\n".join(
                f"{row.request}\n{row.answer}" for row in db.execute(select(Attempt.request, Attempt.answer))
            )

    def expired(self) -> list[tuple[str, str | None]]:
        """What the account was not told in the end, and why."""
        return self._deliveries(DeliveryState.EXPIRED)

    def _deliveries(self, state: DeliveryState) -> list[tuple[str, str | None]]:
        query = select(Delivery.kind, Delivery.error).where(Delivery.state == state)
        with self.deployment.database.read() as db:
            return [(row.kind, row.error) for row in db.execute(query)]

    def play(self, client: str = CLIENT, ours: str = LINE, direction: str = "i", **end: Any) -> str:
        """A whole call."""
        callid = self.ring(client, ours, direction)
        self.hang_up(callid, direction, **end)
        return callid
