"""The page that an administrator sees while the application is being set up: each step as it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import Response, stream_template, stream_with_context
from flask_babel import force_locale, gettext

from connector.calls.people import refresh, users
from connector.connections.store import Connection
from connector.deployment import Deployment
from connector.frame.lines import known_lines
from connector.frame.pages import framed
from connector.frame.passes import FramePass
from crm_adapters.contract import CRMUser, Finding, FindingStatus
from crm_adapters.texts import marked as _

USERS_SECONDS = 10.0


@dataclass(kw_only=True)
class _Progress:
    """The steps as they are taken; the page asks at its end whether something that is needed failed."""

    steps: Iterator[Finding]
    failed: bool = False

    def __iter__(self) -> Iterator[Finding]:
        for step in self.steps:
            self.failed = self.failed or step.status is FindingStatus.ERROR
            yield step.worded(gettext)


def set_up(here: Deployment, connection: Connection) -> Iterator[Finding]:
    """The steps after a sign-in that was kept: tokens, then what the adapter does, then the employees."""
    yield Finding(name="tokens", status=FindingStatus.OK, text=_("The sign-in is kept."))
    yield from here.adapter(connection).set_up(known_lines(here, connection))
    refresh(here, connection, timedelta(0), USERS_SECONDS)
    people = users(here, connection)
    values = {"numbers": _with_number(people), "employees": len(people)}
    text = _("%(numbers)s inner numbers of %(employees)s employees.")
    yield Finding(name="users", status=FindingStatus.OK if people else FindingStatus.WARNING, text=text, values=values)


def _with_number(people: Sequence[CRMUser]) -> int:
    return sum(bool(person.extension) for person in people)


def installing_page(here: Deployment, connection: Connection, given: FramePass, *, finishes: bool) -> Response:
    """The page, written while the steps are taken; where it `finishes` it tells the CRM at its end that all is done."""

    def written() -> Iterator[str]:
        with force_locale(given.language):
            progress = _Progress(steps=set_up(here, connection))
            yield from stream_template(
                "frame/installing.html", progress=progress, finishes=finishes, given=given, language=given.language
            )

    return framed(Response(stream_with_context(written()), mimetype="text/html"), given)
