"""What the pages in a frame show, and the headers that let them stand in that one frame only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import Response, render_template
from flask_babel import force_locale
from flask_wtf import FlaskForm

from connector.calls.numbers import normal_number
from connector.calls.people import extension_of, refresh, unknown_extensions, users
from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.frame.lines import lines_seen
from connector.frame.passes import FramePass, sign_pass
from connector.models import RecordingState, Role
from connector.panel import queries
from connector.recordings.links import MPEG
from connector.recordings.listening import ListeningPass, may_listen, sign_listening
from crm_adapters.contract import CRMUser
from crm_adapters.settings import parse_user_by_extension

ASKING_SECONDS = 3.0
READ_AGAIN_AFTER = timedelta(seconds=2)
NOBODY = "'none'"


def framed(page: Response, given: FramePass) -> Response:
    """The page with headers that let the CRM's site, and no other, show it in a frame."""
    sources = f"'self' {given.script}".strip()
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src {sources}; style-src 'self'; img-src 'self' data:; media-src 'self'; "
        f"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors {given.frame_ancestor or NOBODY}"
    )
    page.headers["Cache-Control"] = "no-store"
    return page


def shown(here: Deployment, template: str, given: FramePass, status: int = 200, **values: Any) -> Response:
    """A page in the language of the pass, with a fresh pass for its forms."""
    with force_locale(given.language):
        text = render_template(
            template,
            given=given,
            language=given.language,
            frame_pass=sign_pass(here.settings.secret_keys, given),
            **values,
        )
    return framed(Response(text, status=status, mimetype="text/html"), given)


def calls_page(here: Deployment, connection: Connection, given: FramePass) -> Response:
    """An employee's own calls, an administrator's all; in a call's card of these the ones with its client.

    A card's number is what the browser says: it narrows what its user may see, and opens nothing.
    """
    in_card = given.number is not None
    number = normal_number(given.number, connection.get("phone_region")) if given.number else None
    extension = extension_of(here, connection, given.user_id, ASKING_SECONDS)
    mine = None if given.is_admin else (extension, given.user_id)
    rows = queries.framed_calls(here.database, connection.id, mine=mine, number=number) if number or not in_card else ()
    mendable = given.is_admin and not in_card
    people = _people(here, connection) if mendable else users(here, connection)
    names = {user.id: user.name for user in people}
    return shown(
        here,
        "frame/calls.html",
        given,
        calls=rows,
        heard=_heard(here, connection, given, rows, names.get(given.user_id, given.user_id)),
        names=names,
        zone=connection.zone,
        extension=extension,
        doubled=[number for number, _, doubled in _numbers(connection, people) if doubled] if mendable else [],
        unknown=unknown_extensions(here, connection) if mendable else {},
    )


def _heard(
    here: Deployment, connection: Connection, given: FramePass, rows: Sequence[Any], listener: str
) -> dict[str, str]:
    """Where the user hears the recordings that are there, by call; nothing where that is not for their role."""
    if not may_listen(connection, Role.ADMIN if given.is_admin else Role.AGENT):
        return {}
    return {
        row.id: f"/listen/{sign_listening(here.settings.secret_keys, ListeningPass(call_id=row.id, listener=listener))}"
        f".{'mp3' if row.recording_as_mp3 or row.recording_type == MPEG else 'wav'}"
        for row in rows
        if row.recording_state == RecordingState.READY
    }


def settings_page(
    here: Deployment, connection: Connection, given: FramePass, form: FlaskForm, *, saved: bool = False
) -> Response:
    """Inner numbers found, missing and doubled, the lines, and the rules, which can be changed."""
    people = _people(here, connection)
    return shown(
        here,
        "frame/settings.html",
        given,
        400 if form.errors else 200,
        form=form,
        saved=saved,
        numbers=_numbers(connection, people),
        without=[user.name for user in people if not user.extension and user.id not in _users_of(connection)],
        unknown=unknown_extensions(here, connection),
        lines=lines_seen(here, connection),
    )


def _people(here: Deployment, connection: Connection) -> list[CRMUser]:
    """The employees as an administrator may just have changed them."""
    refresh(here, connection, READ_AGAIN_AFTER, ASKING_SECONDS)
    return users(here, connection)


def _users_of(connection: Connection) -> set[str]:
    return set(parse_user_by_extension(connection.get("extensions")).values())


def _numbers(connection: Connection, people: Sequence[CRMUser]) -> list[tuple[str, str, bool]]:
    """Each inner number, whose it is, and whether others have it too; the connection's own mapping wins."""
    names = {user.id: user.name for user in people}
    by_extension: dict[str, list[str]] = defaultdict(list)
    for user in people:
        if user.extension:
            by_extension[user.extension].append(user.name)
    found = {extension: (", ".join(whose), len(whose) > 1) for extension, whose in by_extension.items()}
    for extension, user_id in parse_user_by_extension(connection.get("extensions")).items():
        found[extension] = (names.get(user_id, user_id), False)
    return [(extension, *found[extension]) for extension in sorted(found)]
