"""УНФ's own telephony service, `/hs/telephony/itoolabs`: the PBX tells it of calls, and it asks the PBX to dial.

The dialogue is that of the provider "УниверсальныйItoolabs" of УНФ 3.0 (AlexanderYekat/unf, HTTPServices/TelephonyApi).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from http import HTTPStatus

import requests
from requests.auth import HTTPBasicAuth

from crm_adapters.asking import Reply, ask, kept
from crm_adapters.contract import Account, Telling
from crm_adapters.errors import AdapterError, Misconfigured, NotSent, SignInRefused, TryAgain, Unreachable
from crm_adapters.events import CallEnded, CallStarted, Direction, Disposition
from crm_adapters.http import BodyTooLarge, DeadlinePassed, ForbiddenAddress, guarded_session
from crm_adapters.onec.answers import no_answer
from crm_adapters.onec.fields import SERVICE, base_of

_BEGINS = {Direction.INCOMING: "INCOMING", Direction.OUTGOING: "OUTGOING"}
MOST_ANSWER = 256 * 1024
LEAST_SECONDS = 0.3
STATUSES = {
    Disposition.ANSWERED: "Success",
    Disposition.BUSY: "Busy",
    Disposition.NO_ANSWER: "Missed",
    Disposition.CONGESTION: "NotAvailable",
    Disposition.FAILED: "Cancel",
}


def started(event: CallStarted, responsible: str = "") -> dict[str, str]:
    """`cmd=event` of a phone that rings: at its extension, where that is open at the responsible's."""
    return _event(event, _BEGINS[event.direction], event.extension or responsible)


def begun(event: CallEnded) -> dict[str, str]:
    """`cmd=event` of a call that is over already: for an incoming one without an extension, so that no card opens."""
    return _event(event, _BEGINS[event.direction], "" if event.direction is Direction.INCOMING else event.extension)


def ended(event: CallEnded) -> dict[str, str]:
    """`cmd=event` that closes the card."""
    return _event(event, "COMPLETED" if event.disposition is Disposition.ANSWERED else "CANCELLED", event.extension)


def _event(event: CallStarted | CallEnded, kind: str, extension: str | None) -> dict[str, str]:
    return {
        "cmd": "event",
        "type": kind,
        "callid": event.call_id,
        "phone": _digits(event.client_number),
        "ext": extension or "",
        "user": extension or "",
        "diversion": _digits(event.line or ""),
    }


def history(event: CallEnded) -> dict[str, str]:
    """`cmd=history`: the call as it is kept. `start` is UTC."""
    return {
        "cmd": "history",
        "type": "in" if event.direction is Direction.INCOMING else "out",
        "callid": event.call_id,
        "phone": _digits(event.client_number),
        "ext": event.extension or "",
        "user": event.extension or "",
        "diversion": _digits(event.line or ""),
        "start": event.started_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
        "duration": str(event.billsec),
        "status": STATUSES[event.disposition],
        "link": event.recording_url or "",
    }


def contact(number: str, call_id: str) -> dict[str, str]:
    """`cmd=contact`: who has this number."""
    return {"cmd": "contact", "phone": _digits(number), "callid": call_id}


NOBODY = {"cmd": "contact", "phone": "380000000000", "callid": "check"}
"""A question that changes nothing."""


def _digits(number: str) -> str:
    return number.removeprefix("+")


class TelephonyAPI:
    """The service of one base for `seconds`, where a request that was begun in time may take `patience` seconds.
    Methods raise AdapterError."""

    def __init__(self, account: Account, seconds: float, patience: float = 0.0) -> None:
        self._patience = patience
        self._account = account
        self._url = base_of(account.settings.get("onec_url", "")) + SERVICE
        self._token = account.settings.get("onec_crm_token") or account.settings.get("onec_password", "")
        self._deadline = time.monotonic() + seconds

    def tell(self, fields: Mapping[str, str], telling: Telling | None = None) -> dict[str, str]:
        """POSTs a command; the answer's texts, none where it has none."""
        reply = self._post(fields, telling)
        if reply.status == HTTPStatus.BAD_REQUEST and self._refuses_key():
            reply = replace(reply, status=HTTPStatus.UNAUTHORIZED)
        if error := self._error(reply):
            raise error
        try:
            answer = json.loads(reply.content) if reply.content.strip() else {}
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in answer.items()} if isinstance(answer, dict) else {}

    def check(self) -> None:
        """Asks whether the service is there and takes our key; writes nothing."""
        if error := self._error(self._exchange("GET", f"{self._url}/ping", None, None)):
            raise error
        self.tell(NOBODY)

    def _refuses_key(self) -> bool:
        """УНФ answers 400 to a wrong key, as to what it can't read: a question that it can read tells these apart."""
        return self._post(NOBODY, None).status == HTTPStatus.BAD_REQUEST

    def _post(self, fields: Mapping[str, str], telling: Telling | None) -> Reply:
        return self._exchange("POST", self._url + "/", {**fields, "crm_token": self._token}, telling)

    def _exchange(self, verb: str, url: str, form: Mapping[str, str] | None, telling: Telling | None) -> Reply:
        if self._deadline - time.monotonic() < LEAST_SECONDS:
            raise NotSent("no time was left")
        began = time.monotonic()
        deadline = max(self._deadline, began + self._patience)
        try:
            with guarded_session(self._account.allow_local) as session:
                if user := self._account.settings.get("onec_user"):
                    password = self._account.settings.get("onec_password", "")
                    session.auth = HTTPBasicAuth(user.encode(), password.encode())
                reply = ask(session, verb, url, body=form, headers={}, most=MOST_ANSWER, deadline=deadline)
        except ForbiddenAddress as error:
            raise Misconfigured(str(error)) from None
        except (requests.RequestException, DeadlinePassed, BodyTooLarge) as error:
            raise no_answer(error, url) from None
        if telling is not None:
            shown = json.dumps({**(form or {}), "crm_token": "***"}, ensure_ascii=False)
            answer = f"{reply.status} {reply.content[:1000].decode(errors='replace')}"
            secrets = (self._token, self._account.settings.get("onec_password", ""))
            telling.exchanges.append(kept(f"{verb} {url} {shown}", answer, began, secrets))
        return reply

    @staticmethod
    def _error(reply: Reply) -> AdapterError | None:
        status, content = reply.status, reply.content
        if 200 <= status < 300:
            if content.lstrip().startswith(b"<"):
                return Misconfigured(f"a web page answers instead of 1C's service {SERVICE}: is onec_url the base's?")
            return None
        said = content[:200].decode(errors="replace")
        if status in {401, 403}:
            return SignInRefused("1C's telephony service refuses our key: set onec_crm_token, then resume")
        if status in {301, 302, 404, 405}:
            return Misconfigured(f"1C answered {status}: the base publishes no service {SERVICE}")
        if status >= 500 or status == 429:
            return Unreachable(f"1C answered {status}", maybe_done=True, retry_after=reply.retry_after)
        return TryAgain(f"1C answered {status}: {said}", code=str(status))
