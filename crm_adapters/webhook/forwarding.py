"""Evrotel's own requests for receivers that there were before: as they came, with their token."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from dataclasses import replace
from urllib.parse import unquote_plus, urlencode

from crm_adapters.contract import Account
from crm_adapters.errors import AccountTrouble, AdapterError, Held, TryAgain
from crm_adapters.events import Inbound
from crm_adapters.webhook.answers import read_id
from crm_adapters.webhook.sending import Sent, post

LONGEST_HOLD = 3600.0
"""As for the account: who asks for more patience is asked again all the same."""


def forward(account: Account, inbound: Inbound, deadline: float) -> Sent:
    """POSTs it to `webhook_forward_url`. Raises nothing."""
    headers = {"Content-Type": inbound.content_type or "application/x-www-form-urlencoded"}
    headers["Authorization"] = account.settings.get("evrotel_token", "")
    sent = post(account, account.settings["webhook_forward_url"], inbound.body, headers, deadline)
    return replace(sent, error=_its_own(sent.error))


def _its_own(error: AdapterError | None) -> AdapterError | None:
    """A receiver of old that is down, slow or busy does not keep the events from the CRM that has taken its place."""
    if not isinstance(error, AccountTrouble):
        return error
    if error.retry_after:
        return Held(str(error), code=error.code, retry_after=min(error.retry_after, LONGEST_HOLD))
    return TryAgain(str(error), code=error.code)


def callid_in(body: bytes) -> str | None:
    """The callid that such a receiver answers a start with."""
    return read_id(body.decode(errors="replace").strip())


def with_callid(inbound: Inbound, callid: str) -> Inbound:
    """An end that names the call as its receiver does, who answered its start too late for Evrotel to learn it."""
    body = inbound.body.removeprefix(BOM_UTF8).strip()
    if body.startswith(b"{"):
        fields = {
            key: value for key, value in json.loads(body.decode(errors="replace")).items() if key.casefold() != "callid"
        }
        body = json.dumps(fields | {"callid": callid}).encode()
    else:
        pairs = [pair for pair in body.split(b"&") if not _is_callid(pair)]
        body = b"&".join([*pairs, urlencode({"callid": callid}).encode()])
    return Inbound(content_type=inbound.content_type, body=body)


def _is_callid(pair: bytes) -> bool:
    name = pair.partition(b"=")[0]
    return unquote_plus(name.decode(errors="replace")).casefold() == "callid"
