"""Tells the CRM of each call at its end. PUT by our call ID: a repeat changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence

import requests

from crm_adapters.contract import CRMAdapter, Exchange, Finding, Priority, Save, Telling
from crm_adapters.errors import AdapterError, Limited, Misconfigured, Refused, SignInRefused, Unreachable
from crm_adapters.events import CallEnded
from crm_adapters.findings import right, wrong
from crm_adapters.http import BodyTooLarge, DeadlinePassed, guarded_session, mask, read_capped
from evrotel_example_crm import DESCRIPTION

MOST_BYTES = 64 * 1024


class Adapter(CRMAdapter):
    """The translator for the example's API."""

    description = DESCRIPTION

    def tell(self, tellings: Sequence[Telling], *, save: Save, priority: Priority, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for telling in self.declared(tellings):
            try:
                self._tell(telling, deadline)
            except AdapterError as error:
                telling.error = error

    def _tell(self, telling: Telling, deadline: float) -> None:
        event = telling.event
        assert isinstance(event, CallEnded)  # noqa: S101 - FINISH alone is declared; for the type checker
        note = {
            "phone": event.client_number,
            "direction": event.direction,
            "started_at": event.started_at.isoformat(),
            "seconds": event.billsec,
            "text": event.result,
            "employee": event.user_id,
            "recording": event.recording_url,
        }
        self._ask("PUT", f"/calls/{event.call_id}", deadline, note, telling)
        telling.crm_call_id = event.call_id

    def check(self) -> list[Finding]:
        try:
            self._ask("GET", "/me", time.monotonic() + 10.0)
        except AdapterError as error:
            return [wrong("example", "the CRM can't be asked: %(why)s", "Check address and key.", why=str(error))]
        return [right("example", "the CRM answers")]

    def _ask(
        self, verb: str, path: str, deadline: float, content: object = None, telling: Telling | None = None
    ) -> None:
        key, began = self.account.settings.get("example_key", ""), time.monotonic()
        try:
            with guarded_session(self.account.allow_local) as session:
                response = session.request(
                    verb,
                    self.account.settings.get("example_url", "") + path,
                    json=content,
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=max(deadline - began, 0.1),
                    stream=True,
                )
                body = read_capped(response, MOST_BYTES, deadline).decode(errors="replace")
        except (requests.RequestException, DeadlinePassed, BodyTooLarge) as error:
            raise Unreachable(f"no answer: {type(error).__name__}", maybe_done=True) from None
        if telling is not None:
            exchange = Exchange(
                request=mask(f"{verb} {path} {content}", [key]),
                answer=mask(f"{response.status_code} {body}", [key]),
                milliseconds=int((time.monotonic() - began) * 1000),
            )
            telling.exchanges.append(exchange)
        _raise_for(response.status_code, body)


def _raise_for(status: int, body: str) -> None:
    if status in {401, 403}:
        raise SignInRefused("the CRM refuses the key: set example_key, then resume")
    if status == 429:
        raise Limited("the CRM asks us to slow down")
    if status >= 500:
        raise Unreachable(f"the CRM answered {status}", maybe_done=True)
    if status >= 400:
        raise Refused(f"the CRM answered {status}: {body[:200]}")
    if status >= 300 or not body.startswith("{"):
        raise Misconfigured("another answers instead of the CRM: is example_url right?")
