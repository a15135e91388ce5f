"""Doors for scripts: JSON, and readable for scripts of the CRM account's own site alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import Response, jsonify, request
from sqlalchemy import select
from werkzeug.exceptions import HTTPException

from connector.calls.people import give_numbers, unknown_extensions
from connector.click_to_call.dial_requests import DialRequest, ask_to_dial
from connector.connections.accounts import OtherAccount, account_key
from connector.connections.offers import accept_offer, offer_is_coming
from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.models import Dial, DialOrigin, DialState
from connector.texts import DIAL_REASONS, UNCLEAR, WIDGET_STATES, in_language
from connector.widget.ringing import calls_for
from crm_adapters.contract import Door
from crm_adapters.door_answers import CallsAsked, ClickToCall, NumbersGiven, StateAsked

HEADERS = "X-Auth-Token, Content-Type"
PREFLIGHT_LASTS = "600"
DIALLED_WITHIN = 10.0
"""How long a click's page waits for what Evrotel says."""
LOOK_EACH = 0.1
OFFER_WITHIN = 6.0
"""So long the first page of an account waits for its installation, whose code is being exchanged."""


def for_scripts(here: Deployment, connection: Connection, declared: Door, open_it: Callable[[], Response]) -> Response:
    """The door's answer as JSON with the headers of CORS (https://fetch.spec.whatwg.org/#http-cors-protocol)."""
    origin = request.headers.get("Origin", "")
    if request.method == "OPTIONS":
        response = Response(status=204)
    else:
        try:
            response = _as_json(open_it())
        except HTTPException as error:
            response = _failure(error.code or 500, error.name)
    response.headers["Vary"] = "Origin"
    response.headers["Cache-Control"] = "no-store"
    if origin and here.adapter(connection).trusts(origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Methods"] = ", ".join((*declared.methods, "OPTIONS"))
        response.headers["Access-Control-Allow-Headers"] = HEADERS
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_LASTS
    return response


def dialled(here: Deployment, connection: Connection, click: ClickToCall) -> Response:
    """Has a clicked number dialled, and says what became of it as far as that is known within DIALLED_WITHIN."""
    if click.account_key and not _belongs(here, connection, click.account_key):
        return _other_account(here, connection)
    wanted = DialRequest(key=click.key, origin=DialOrigin.CLICK, number=click.number, user_id=click.user_id)
    call_id = ask_to_dial(here.database, connection, wanted)
    give_up = time.monotonic() + DIALLED_WITHIN
    while call_id is not None and time.monotonic() < give_up:
        with here.database.read() as db:
            query = select(Dial.state, Dial.reason, Dial.answer).where(Dial.call_id == call_id)
            asked = db.execute(query).one()
        if asked.state == DialState.FAILED:
            return _failure(422, in_language(connection.get("language"), DIAL_REASONS[asked.reason]))
        if asked.state == DialState.SENT and asked.answer is not None:
            return _failure(409, in_language(connection.get("language"), UNCLEAR))
        if asked.state in {DialState.ACCEPTED, DialState.STARTED}:
            break
        time.sleep(LOOK_EACH)
    return jsonify(status="dialling")


def answered_script(
    here: Deployment, connection: Connection, asked: NumbersGiven | StateAsked | CallsAsked
) -> Response:
    """What a page of the account that the connection is bound to asked for, or gave."""
    if not _belongs(here, connection, asked.account_key):
        return _other_account(here, connection)
    match asked:
        case NumbersGiven():
            here.connections.set(connection.name, {asked.setting: _as_setting(asked)})
            give_numbers(here, connection, dict(asked.extensions))
            return jsonify(saved=len(asked.extensions))
        case StateAsked():
            return _state(here, connection)
        case CallsAsked():
            return jsonify(calls=calls_for(here, connection, asked.user_id))


def _belongs(here: Deployment, connection: Connection, key: str) -> bool:
    """Whether the connection is this account's; an installation of it that waits for a proof is taken with this one."""
    give_up = time.monotonic() + OFFER_WITHIN
    try:
        while (bound := account_key(here.database, connection.id)) is None:
            if accept_offer(here, connection, key):
                return True
            if time.monotonic() >= give_up or not offer_is_coming(here.database, connection.id):
                return False
            time.sleep(LOOK_EACH)
    except OtherAccount:
        return False
    return bound == key


def _other_account(here: Deployment, connection: Connection) -> Response:
    """The one who asks is of another account, or of none that is connected yet."""
    name = "other_account" if account_key(here.database, connection.id) else "no_account"
    return _failure(403, in_language(connection.get("language"), WIDGET_STATES[name]))


def _state(here: Deployment, connection: Connection) -> Response:
    language = connection.get("language")
    found = here.connections.by_id(connection.id) or connection
    name = "paused" if found.paused else "trouble" if found.trouble else "connected"
    text = in_language(language, WIDGET_STATES[name], why=found.paused_reason or found.trouble or "")
    unknown = list(unknown_extensions(here, connection))
    return jsonify(connected=name == "connected", text=text, unknown_extensions=unknown)


def _as_setting(given: NumbersGiven) -> str:
    return ",".join(f"{extension}={user_id}" for user_id, extension in given.extensions.items())


def _as_json(response: Response) -> Response:
    if response.mimetype == "application/json":
        return response
    text = response.get_data(as_text=True)
    return jsonify(status=text) if response.status_code < 400 else _failure(response.status_code, text)


def _failure(status: int, text: str) -> Response:
    response = jsonify(error=text)
    response.status_code = status
    return response
