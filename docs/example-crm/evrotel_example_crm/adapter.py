"""Tells the CRM of each call at its end. PUT by our call ID: a repeat changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import requests

from crm_adapters.asking import Reply, ask, kept
from crm_adapters.contract import CRMAdapter, Finding, Priority, Save, Telling
from crm_adapters.errors import AdapterError, Limited, Misconfigured, NotSent, Refused, SignInRefused, Unreachable
from crm_adapters.events import CallEnded
from crm_adapters.findings import right, wrong
from crm_adapters.http import BodyTooLarge, DeadlinePassed, ForbiddenAddress, guarded_session
from evrotel_example_crm import DESCRIPTION

MOST_BYTES = 64 * 1024


class Adapter(CRMAdapter):
    """The translator for the example's API."""

    description = DESCRIPTION

    def tell(self, tellings: Sequence[Telling], *, save: Save, priority: Priority, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for telling in self.declared(tellings):
            try:
                if time.monotonic() >= deadline:
                    raise NotSent("no time was left")
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
        url, key = (self.account.settings.get(name, "") for name in ("example_url", "example_key"))
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        body, began = None if content is None else json.dumps(content).encode(), time.monotonic()
        try:
            with guarded_session(self.account.allow_local) as session:
                reply = ask(session, verb, url + path, body=body, headers=headers, most=MOST_BYTES, deadline=deadline)
        except ForbiddenAddress as error:
            raise Misconfigured(f"example_url can't be asked: {error}") from None
        except (requests.RequestException, DeadlinePassed, BodyTooLarge) as error:
            raise Unreachable(f"no answer: {type(error).__name__}", maybe_done=True) from None
        text = reply.content.decode(errors="replace")
        if telling is not None:
            telling.exchanges.append(kept(f"{verb} {path} {content}", f"{reply.status} {text}", began, [key]))
        _raise_for(reply, text)


def _raise_for(reply: Reply, text: str) -> None:
    if reply.status in {401, 403}:
        raise SignInRefused("the CRM refuses the key: set example_key, then resume")
    if reply.status == 429:
        raise Limited("the CRM asks us to slow down", retry_after=reply.retry_after)
    if reply.status >= 500:
        raise Unreachable(f"the CRM answered {reply.status}", maybe_done=True)
    if reply.status >= 400:
        raise Refused(f"the CRM answered {reply.status}: {text[:200]}")
    if reply.status >= 300 or not text.startswith("{"):
        raise Misconfigured("another answers instead of the CRM: is example_url right?")
