"""Click-to-call by the HTTP API: has an employee's phone ring, and the client called when somebody picks up."""

from __future__ import annotations

import re
import uuid
from typing import Any

from flask import Response, abort, url_for

from connector.api import problems, schemas
from connector.api.blueprint import opened_by, opened_connection, serves
from connector.calls.numbers import dialable_number, is_clients
from connector.click_to_call.at_once import DialStatus, NoBillcode, OtherRequest, dial_at_once
from connector.click_to_call.dial_requests import DialRequest
from connector.deployment import deployment
from connector.models import DialOrigin, DialState

_NOT_LET_IN = re.compile(r"(?i)(401|403) |\W*access denied")
_TOO_OFTEN = re.compile(r"(?i)429 |\W*timelimit")
"""What Evrotel's refusals begin with that are not about this call."""
_FAULTS = {
    "refused": "Evrotel refused the call: check that the extensions exist at Evrotel and that the number can be called",
    "unreachable": "Evrotel could not be reached, so nothing was dialled: try again later",
    "too_late": "The call was not made in time: ask again",
    "unclear": (
        "Evrotel gave no clear answer, and the call has not begun: ask for it again, with a new Idempotency-Key if any"
    ),
    "not_let_in": (
        "Evrotel does not accept this connection's token or billcode: "
        "an administrator has to check evrotel_token and evrotel_billcode"
    ),
    "too_often": "Evrotel takes no call to this number yet: try again in a minute",
}
"""By `Dial.reason`, or by what Evrotel's refusal is about: what went wrong and what to do."""
_NOT_MADE = "The call was not made"
NO_BILLCODE = (
    "This connection has no billcode, so Evrotel can't be asked: an administrator has to set its evrotel_billcode"
)
_UNCLEAR = (
    "Evrotel gave no clear answer: the phone may ring all the same. "
    "Ask for the call by its ID before you have it dialled again"
)


@serves(
    "POST",
    "/calls",
    body=schemas.CallWanted,
    headers=schemas.IdempotencyKey,
    answer=schemas.CallAsked,
    status=202,
    refusals=(409, 502),
)
def make_call(wanted: dict[str, Any], headers: dict[str, Any]) -> dict[str, Any]:
    """Has one of the extensions ring; the client is called when somebody picks up.

    The answer's `id` is that of the call to come: `GET .../calls/{id}` tells what becomes of it.
    """
    connection, key = opened_connection(), opened_by()
    number = dialable_number(wanted["to"], connection.get("phone_region"))
    if number is None or not is_clients(number):
        text = "should be a client's phone number, such as +380671234567; inner and short numbers can't be called here"
        abort(problems.problem(422, "Some parameters are wrong", errors={"to": [text]}))
    request = DialRequest(
        key=f"api:{headers.get('key') or uuid.uuid4().hex}",
        origin=DialOrigin.API,
        number=number,
        extensions=tuple(wanted["from"]),
        routing=wanted.get("routing", ""),
        asked_by=key.name or f"API {key.key_id}",
    )
    try:
        status = dial_at_once(deployment(), connection, request)
    except NoBillcode:
        abort(problems.problem(409, NO_BILLCODE))
    except OtherRequest:
        abort(problems.problem(422, "This Idempotency-Key was used before, for another request: use a new one"))
    if status.goes_on:
        text = "The first request with this Idempotency-Key is still being answered"
        abort(problems.problem(409, text, headers={"Retry-After": "2"}, id=status.call_id))
    if refusal := _refusal(status):
        abort(refusal)
    return {
        "id": status.call_id,
        "state": status.state,
        "call": url_for("api.show_call", connection=connection.name, call_id=status.call_id),
    }


def _refusal(status: DialStatus) -> Response | None:
    """The problem to answer with; None where the call is on its way."""
    more: dict[str, Any] = {"id": status.call_id, "state": status.state, "answer": status.answer}
    if status.state is DialState.FAILED and status.reason == "no_start":
        return None  # Evrotel took it: a repeat is answered as the first request was
    if status.state is DialState.FAILED:
        return problems.problem(502, _FAULTS.get(_fault(status), _NOT_MADE), reason=status.reason, **more)
    if status.is_unclear:
        return problems.problem(502, _UNCLEAR, reason="unclear", **more)
    return None


def _fault(status: DialStatus) -> str:
    """The key of the fault's text: a refusal may be the administrator's to mend, or end by itself."""
    answer, reason = status.answer or "", status.reason or ""
    if reason == "refused" and _NOT_LET_IN.match(answer):
        return "not_let_in"
    return "too_often" if reason == "refused" and _TOO_OFTEN.match(answer) else reason
