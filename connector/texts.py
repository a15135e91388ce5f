"""What is written into CRMs for people to read, in the connection's language; translated with the panel's texts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from babel.support import NullTranslations, Translations

from crm_adapters.texts import marked as _

_FOLDER = Path(__file__).parent / "panel" / "translations"

MISSED = _("Missed call from %(number)s at %(time)s")
MISSED_ON_LINE = _("Missed call from %(number)s at %(time)s, to %(line)s")
CALLBACK_FAILED = _("%(number)s asked to be called back at %(time)s and was not reached")
TASK_TITLE = _("Call back: %(number)s, %(time)s")
TASK_HINT = _("It is done by itself when the client is reached.")
NOT_DIALLED = _("The call to %(number)s was not made. %(reason)s")

DIAL_REASONS = {
    "no_extension": _("No inner number is known for the employee: an administrator has to give it in the CRM."),
    "no_billcode": _("The connection's billcode is not set."),
    "no_number": _("This number can't be dialled."),
    "refused": _("Evrotel refused it."),
    "unreachable": _("Evrotel does not answer."),
    "no_start": _("Evrotel did not begin the call within two minutes."),
    "unclear": _("Evrotel did not begin the call within two minutes."),
    "too_late": _("It came too late to be of use."),
    "busy": _("The line is busy."),
    "no_answer": _("Nobody answered."),
    "congestion": _("The network is busy."),
}
"""By `Dial.reason`, which is also what a robot's workflow is told."""

UNCLEAR = _("Evrotel gave no clear answer. If your phone does not ring in a minute, try again.")

RESULTS = {
    "answered": _("The client was reached, %(seconds)s s of talk"),
    "busy": _("The client's line is busy"),
    "no_answer": _("No answer"),
    "congestion": _("The network is busy"),
    "failed": _("The call failed"),
}
"""By disposition."""

INCOMING_RESULTS = {
    "answered": _("Answered, %(seconds)s s of talk"),
    "busy": _("Missed: the line was busy"),
    "no_answer": _("Missed: nobody answered"),
    "congestion": _("Missed: the network was busy"),
    "failed": _("Missed: the call failed"),
}
"""By disposition, where the client called."""

ON_LINE = _("Line %(line)s")
OF_CAMPAIGN = _("Autodial campaign “%(name)s”.")
AT_EXTENSION = _("Inner number %(extension)s")
REACHED = _("The client was reached.")

WIDGET_STATES = {
    "connected": _("The connection works."),
    "paused": _("The connection is paused: %(why)s"),
    "trouble": _("The account does not answer at the moment: %(why)s"),
    "no_account": _("No account is connected yet: connect it in the panel, then save once more."),
    "other_account": _("This connection belongs to another account."),
}
"""What the widget's settings say of the connection."""


def in_language(language: str, text: str, **values: object) -> str:
    """The text in `uk`, `ru` or `en`, with its values put in."""
    translated: str = _translations(language).gettext(text)
    return translated % values if values else translated


@cache
def _translations(language: str) -> NullTranslations:
    return Translations.load(str(_FOLDER), [language])
