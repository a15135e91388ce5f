"""What the autodial says to people, in the panel's languages: the engine writes plain English, as the HTTP API does."""

from __future__ import annotations

import re

from flask_babel import gettext

from connector.panel.labels import CAMPAIGN_STATES
from crm_adapters.texts import marked as _

SAID = (
    _("This is no WAV, MP3, OGG or FLAC file that can be decoded."),
    _("There is no sound in this file."),
    _("This file is silent."),
    _("Take a WAV, MP3, OGG or FLAC file."),
    _("A sound of %(channels)s channels at %(rate)s Hz can't be converted."),
    _("A message may last %(seconds)s seconds at most."),
    _("this is no phone number"),
    _("Evrotel's autodial calls Ukrainian numbers only"),
    _("premium numbers are not called"),
    _("a list may have %(most)s numbers at most"),
    _("this spreadsheet can't be read: save it as XLSX or CSV"),
    _("this text can't be read: save it as CSV in UTF-8"),
    _("quiet hours should be as 20:00-09:00, several with ; between"),
    _("holidays should be dates such as 2026-12-25"),
    _("Evrotel could not be reached: try again later"),
    _("Evrotel did not take the file, it said: %(said)s. It has to reach %(url)s from outside"),
    _("Evrotel did not start its list, it said: %(said)s"),
    _("Evrotel did not start its list: another request of the same key was refused"),
    _("Evrotel gave no clear answer: %(said)s"),
    _("this campaign was started before"),
    _("call a phone of your own first: nobody is called before somebody has heard the message"),
    _("the test call goes on"),
    _("the campaign is %(status)s"),
    _("the campaign has finished"),
    _("the campaign was stopped"),
    _("Evrotel calls its own list: it can be stopped in Evrotel's cabinet only"),
    _("Evrotel can't be reached: %(said)s"),
    _("The test call was not made: %(said)s"),
    _("The test call was not answered: %(said)s"),
    _("Evrotel refuses every call, it says: %(said)s. Check the audio file and the account, then resume"),
    _("Nobody knows what became of the test call: call once more"),
)
"""All that connector/autodial says; a test compares."""

_PLACE = re.compile(r"%\((\w+)\)s")


def _pattern(text: str) -> re.Pattern[str]:
    pieces = _PLACE.split(text)
    made = (re.escape(piece) if at % 2 == 0 else f"(?P<{piece}>.*)" for at, piece in enumerate(pieces))
    return re.compile("".join(made), re.DOTALL)


_PATTERNS = [(_pattern(text), text) for text in SAID]


def in_words(said: object) -> str:
    """What the autodial said, translated, as a sentence; a text that is not of it stays as it is."""
    text = str(said)
    for pattern, template in _PATTERNS:
        if found := pattern.fullmatch(text):
            values = found.groupdict()
            if "status" in values:
                values["status"] = str(CAMPAIGN_STATES[values["status"]][0]).lower()
            text = gettext(template, **values)
            break
    return text[:1].upper() + text[1:]
