"""The CRMs' own doors, one route for all: the adapter reads the request, this module acts on what it means."""

from __future__ import annotations

import logging
import threading
import time
import uuid

from flask import Blueprint, Response, abort, jsonify, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from connector.calls.people import unknown_extensions, users, users_by_extension
from connector.click_to_call.dial_requests import DialRequest, ask_to_dial
from connector.click_to_call.for_servers import dial_from
from connector.connections.accounts import OtherAccount, account_key, keep_installation, note_echo
from connector.connections.offers import keep_offer
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment, deployment
from connector.frame.installing import installing_page, set_up
from connector.frame.pages import calls_page
from connector.frame.passes import FramePass
from connector.locks import Lock, locked_by
from connector.models import DialOrigin
from connector.panel.connecting import connected_page
from connector.panel.language import LANGUAGES
from connector.widget.answers import answered_script, dialled, for_scripts
from crm_adapters.contract import Door, FindingStatus
from crm_adapters.door_answers import (
    AccessDoubted,
    CallbackWanted,
    CallsAsked,
    ClickToCall,
    DoorAnswer,
    DoorRefused,
    DoorRequest,
    Echo,
    ExtensionsAsked,
    Ignored,
    Installed,
    InstallOffered,
    NumbersGiven,
    Opened,
    RobotCall,
    StateAsked,
    Uninstalled,
)
from crm_adapters.errors import AccountTrouble, AdapterError, SignInRefused
from crm_adapters.registry import DESCRIPTIONS

logger = logging.getLogger(__name__)

blueprint = Blueprint("doors", __name__)
ASKING = "ask-account"
"""The name of threads that ask an account whether it is still ours."""


# УНФ puts a slash behind whatever address it is given.
@blueprint.route("/<crm>/<name>/<door>/", methods=["GET", "POST", "OPTIONS"], provide_automatic_options=False)
@blueprint.route("/<crm>/<name>/<door>", methods=["GET", "POST", "OPTIONS"], provide_automatic_options=False)
@locked_by(Lock.ADAPTER)
def open_door(crm: str, name: str, door: str) -> Response:
    """Any declared door of any adapter."""
    if crm not in DESCRIPTIONS or door not in DESCRIPTIONS[crm].doors:
        abort(404)
    declared = DESCRIPTIONS[crm].doors[door]
    here = deployment()
    connection = here.connections.get(name)
    if connection.crm != crm:
        abort(404)
    if declared.for_scripts:
        return for_scripts(here, connection, declared, lambda: _at_door(here, connection, declared, door))
    return _at_door(here, connection, declared, door)


def _at_door(here: Deployment, connection: Connection, declared: Door, door: str) -> Response:
    if request.method not in declared.methods:
        abort(405)
    try:
        asked = _plain_request(door)
    except RequestEntityTooLarge:
        return _text(413, "The request is over 64 KiB")
    if any("\0" in text for pairs in (asked.query, asked.form) for pair in pairs.items() for text in pair):
        return _text(400, "The request has characters that no text has")
    if not here.adapter(connection).asks_at(asked):
        return _opened(here, connection, asked)
    # A stranger's knocking asks the CRM too, and users' pages wait for it: neither may keep events out.
    if not here.open_doors.enter():
        return _text(503, "Too many are at the door, try again in a moment")
    try:
        return _opened(here, connection, asked)
    finally:
        here.open_doors.leave()


def _opened(here: Deployment, connection: Connection, asked: DoorRequest) -> Response:
    try:
        return _act(here, connection, here.adapter(connection).open_door(asked))
    except AccountTrouble as error:
        logger.warning("connection %s: the door %s could not ask the CRM: %s", connection.name, asked.door, error)
        return _text(503, "The CRM does not answer, try again in a moment")
    except AdapterError as error:
        logger.warning("connection %s: the door %s refused: %s", connection.name, asked.door, error)
        return _text(403, str(error))


def _plain_request(door: str) -> DoorRequest:
    body = request.get_data(cache=True)
    return DoorRequest(
        door=door,
        method=request.method,
        query=request.args.to_dict(),
        form=request.form.to_dict(),
        headers=dict(request.headers.items()),
        body=body,
    )


def _act(here: Deployment, connection: Connection, answer: DoorAnswer) -> Response:
    match answer:
        case Installed():
            return _installed(here, connection, answer)
        case ClickToCall():
            return _clicked(here, connection, answer)
        case NumbersGiven() | StateAsked() | CallsAsked():
            return answered_script(here, connection, answer)
        case Opened():
            return _page(here, connection, answer)
        case DoorRefused():
            logger.warning("connection %s: refused at a door: %s", connection.name, answer.text)
            return _text(answer.status, answer.text)
        case _:
            return _take(here, connection, answer)


def _clicked(here: Deployment, connection: Connection, click: ClickToCall) -> Response:
    if click.waits:
        return dialled(here, connection, click)
    if click.extension:
        problem = dial_from(here, connection, click.extension, click.number, click.key)
        return _text(problem.status, problem.text) if problem else _text(200, "OK")
    return _take(here, connection, click)


def _page(here: Deployment, connection: Connection, opened: Opened) -> Response:
    if account_key(here.database, connection.id) != opened.account_key:
        return _other_account(connection)
    return calls_page(here, connection, _pass(connection, opened))


def _take(
    here: Deployment,
    connection: Connection,
    said: AccessDoubted
    | ClickToCall
    | CallbackWanted
    | RobotCall
    | Echo
    | ExtensionsAsked
    | InstallOffered
    | Uninstalled
    | Ignored,
) -> Response:
    """What a CRM's server tells: kept before it is answered, done in the background."""
    match said:
        case ClickToCall():
            ask_to_dial(
                here.database,
                connection,
                DialRequest(
                    key=said.key,
                    origin=DialOrigin.CLICK,
                    number=said.number,
                    user_id=said.user_id or None,
                    crm_call_id=said.crm_call_id,
                ),
            )
        case CallbackWanted():
            wanted = DialRequest(
                key=f"{DialOrigin.CALLBACK}-{uuid.uuid4()}",
                origin=DialOrigin.CALLBACK,
                number=said.number,
                line=said.line,
                notes=dict(said.notes),
            )
            ask_to_dial(here.database, connection, wanted)
        case RobotCall():
            robot = DialRequest(
                key=said.ticket,
                origin=DialOrigin.ROBOT,
                number=said.number,
                user_id=said.user_id or None,
                mediafile=said.mediafile or None,
            )
            ask_to_dial(here.database, connection, robot)
        case ExtensionsAsked():
            return jsonify(_extensions(here, connection))
        case Echo():
            note_echo(here.database, connection.id)
        case InstallOffered():
            keep_offer(here, connection, said)
        case AccessDoubted():
            # Whoever tells waits three seconds at most, which a refresh of the tokens may take longer than.
            threading.Thread(target=_ask_account, args=(here, connection), name=ASKING, daemon=True).start()
        case Uninstalled():
            here.connections.pause(connection.id, by="connector", reason=said.reason)
    return _text(200, "OK")


def _extensions(here: Deployment, connection: Connection) -> list[dict[str, str]]:
    """The known extensions and whose they are, and those that calls of late have named."""
    names = {user.id: user.name for user in users(here, connection)}
    known = dict.fromkeys(unknown_extensions(here, connection), "") | users_by_extension(here, connection)
    return [{"name": names.get(user_id) or extension, "ext": extension} for extension, user_id in sorted(known.items())]


def _ask_account(here: Deployment, connection: Connection) -> None:
    asked_at = now()
    try:
        here.adapter(connection).prove_sign_in()
    except SignInRefused as error:
        here.connections.pause(connection.id, by="connector", reason=str(error), asked_at=asked_at)
    except (AdapterError, SQLAlchemyError) as error:  # if the access is gone the next call learns of it
        logger.warning("connection %s: the account could not be asked: %s", connection.name, type(error).__name__)


def _installed(here: Deployment, connection: Connection, installed: Installed) -> Response:
    """Keeps the sign-in, unless the connection belongs to another account, and wakes what waits."""
    key, tokens = installed.account_key, installed.tokens
    try:
        first = keep_installation(here.database, here.cipher, connection.id, key, tokens)
    except OtherAccount:
        return _other_account(connection)
    here.connections.resume(connection.id, unless_by="admin")
    logger.info("connection %s: the application was installed", connection.name)
    if installed.name:
        return connected_page(connection, installed.name)
    if installed.opened is None:
        failed = [step.worded().text for step in set_up(here, connection) if step.status is FindingStatus.ERROR]
        return _text(200, "; ".join(failed) or "OK")
    given = _pass(connection, installed.opened)
    if installed.finishes or installed.moved or first or connection.paused_by == "connector":
        return installing_page(here, connection, given, finishes=installed.finishes)
    return calls_page(here, connection, given)


def _other_account(connection: Connection) -> Response:
    logger.warning("connection %s: another account than the bound one is at the door", connection.name)
    return _text(403, "This connection belongs to another account, or the application is not installed yet")


def _pass(connection: Connection, opened: Opened) -> FramePass:
    return FramePass(
        connection=connection.name,
        user_id=opened.user_id,
        is_admin=opened.is_admin,
        language=_language(connection),
        frame_ancestor=opened.frame_ancestor,
        script=opened.script,
        opened_at=time.time(),
        number=opened.number,
    )


def _language(connection: Connection) -> str:
    """The portal's own, where we speak it."""
    asked = request.args.get("LANG", "").lower()
    known = {"ua": "uk"}.get(asked, asked)
    return known if known in LANGUAGES else connection.get("language")


def _text(status: int, text: str) -> Response:
    return Response(text, status=status, mimetype="text/plain")
