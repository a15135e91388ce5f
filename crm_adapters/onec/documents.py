"""One document for each call, made once: by a key of ours, looked up after whatever was unclear."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from crm_adapters.contract import Telling
from crm_adapters.errors import AdapterError, NotSent, NotWanted, Refused, SignInRefused, TryAgain
from crm_adapters.events import CallEnded, RecordingReady
from crm_adapters.onec import mapping
from crm_adapters.onec.answers import Exceptional, Exists, NoSuchKey
from crm_adapters.onec.client import Base
from crm_adapters.onec.contacts import CONTACT, LOOKED, OWNERS, Contact, find_contact
from crm_adapters.onec.profiles import COMMENT, PROFILES, Profile

log = logging.getLogger(__name__)

SENT, ABSENT, EXCEPTIONS = "sent", "absent", "exceptions"
LOOKUPS, MOST_LOOKUPS = "lookups", 2
ROUNDS, MOST_ROUNDS = "rounds", 10
"""A base so slow that this many rounds were not enough to say whose number it is gets the call without a contact."""
READ_ANEW = "read_anew"
MOST_EXCEPTIONS = 3
"""A rule of the company's own code refuses again and again: then an administrator has to look."""
LINKED = "onec_linked"
"""A note on a call whose document has the link to the recording."""
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_states: dict[tuple[str, str], str] = {}
"""Keys of УНФ's states by the base's address and the state's name; a hint, so threads need no lock."""


def write_document(base: Base, profile: Profile, telling: Telling, event: CallEnded, save: Callable[[], None]) -> None:
    """Makes the call's document; sets its key. Raises AdapterError."""
    if not profile.document:
        raise NotWanted("the profile lookup-only writes no documents")
    progress = telling.progress
    if progress.get(SENT):
        if key := _written(base, profile, event, progress):
            telling.crm_call_id = key
            return
        progress[SENT] = False  # a slow base's round may end here: it is not looked for again
    values = _document(base, profile, telling, event)
    progress |= {SENT: True, ABSENT: False}
    save()
    try:
        telling.crm_call_id = _created(base, profile, telling, event, values)
    except NotSent:
        progress[SENT] = False
        raise
    except Exceptional as error:
        progress[EXCEPTIONS] = progress.get(EXCEPTIONS, 0) + 1
        if progress[EXCEPTIONS] >= MOST_EXCEPTIONS:
            raise Refused(
                f"{error}. A rule of this base refuses the document: mend it, then retry", code="-1"
            ) from None
        raise


def add_recording(base: Base, profile: Profile, telling: Telling, event: RecordingReady) -> None:
    """Adds the link to a document that was written without it; most have it from the first. Raises AdapterError."""
    if telling.notes.get(LINKED):
        return
    if not profile.document or not event.crm_call_id:
        raise NotWanted("1C has no document of this call")
    if event.url is None:
        raise NotWanted("1C is given links, and cannot reach ours")
    try:
        text = str(base.get(profile.document, event.crm_call_id).get(profile.text) or "")
        if event.url not in text:
            linked = mapping.with_recording(text, event.url, base.account.language)
            base.change(profile.document, event.crm_call_id, {profile.text: linked})
    except NoSuchKey:
        raise NotWanted("the call's document is not in 1C any more") from None
    telling.notes[LINKED] = True


def _created(base: Base, profile: Profile, telling: Telling, event: CallEnded, values: dict[str, Any]) -> str:
    """The key of what 1C made. A responsible who is gone from the base costs the call nothing: the default's it is."""
    users = [key for key in ("Ответственный_Key", "Автор_Key") if key in values]
    without = {key: value for key, value in values.items() if key not in users}
    tried = list(dict.fromkeys([values.get("Ответственный_Key"), as_key(event.fallback_user_id), None]))
    for user_id in tried:
        try:
            made = base.create(profile.document, without | (dict.fromkeys(users, user_id) if user_id else {}))
        except Exists:
            return str(values["Ref_Key"])
        except NoSuchKey as error:
            if user_id is None:
                _read_anew(base, telling, error)
                raise
            log.warning("a responsible user is not in 1C: %s", error, extra={"call_id": telling.event.call_id})
        else:
            telling.notes[LINKED] = event.recording_url is not None
            return str(made.get("Ref_Key") or values["Ref_Key"])
    raise AssertionError("the last try is without anybody")


def _read_anew(base: Base, telling: Telling, error: NoSuchKey) -> None:
    """Not the responsible is gone, then the state or the contact: both are asked for once more. Raises TryAgain."""
    if telling.progress.get(READ_ANEW):
        return
    telling.progress[READ_ANEW] = True
    for kept in (CONTACT, LOOKED, OWNERS):
        telling.progress.pop(kept, None)
    for state in [state for state in _states if state[0] == base.url]:
        _states.pop(state, None)
    raise TryAgain(str(error), code=error.code) from None


def _written(base: Base, profile: Profile, event: CallEnded, progress: dict[str, Any]) -> str | None:
    """The key of the document that an earlier try has made; None where none. `progress` keeps how far it came."""
    key = mapping.document_key(event.call_id)
    try:
        if not progress.get(ABSENT):
            return str(base.get(profile.document, key).get("Ref_Key") or key)
    except NoSuchKey:
        progress[ABSENT] = True
    # A base that gives keys of its own instead of ours is searched by what a filter can name.
    moment = f"Date eq datetime'{mapping.wall_time(event.started_at, zone_of(base))}'"
    number = mapping.number_of(event, base.account.language).replace("'", "''")
    which = f" and {profile.number} eq '{number}'" if profile.number else ""
    found = base.rows(profile.document, filter=moment + which, top="100")
    comment = mapping.comment_of(event.call_id)
    ours = (row for row in found if any(comment in str(row.get(name) or "") for name in (COMMENT, profile.text)))
    return next((str(row["Ref_Key"]) for row in ours if row.get("Ref_Key")), None)


def _document(base: Base, profile: Profile, telling: Telling, event: CallEnded) -> dict[str, Any]:
    contact = _contact(base, profile, telling, event)
    user_id = as_key(event.user_id) or as_key(event.fallback_user_id)
    zone, language = zone_of(base), base.account.language
    if profile is PROFILES["bsp"]:
        return mapping.bsp_document(event, contact=contact, user_id=user_id, zone=zone, language=language)
    return mapping.unf_document(
        event,
        contact=contact,
        user_id=user_id,
        state_key=state_key(base, profile, mapping.state_of(event)),
        has_comment=not base.schema().lacks(profile.document, (COMMENT,)),
        zone=zone,
        language=language,
    )


def _contact(base: Base, profile: Profile, telling: Telling, event: CallEnded) -> Contact | None:
    """Who it is; a look-up that fails again and again holds no document up."""
    progress = telling.progress
    if progress.get(ROUNDS, 0) >= MOST_ROUNDS or progress.get(LOOKUPS, 0) >= MOST_LOOKUPS:
        return None
    try:
        return find_contact(base, profile, event.client_number, progress, region_of(base))
    except NotSent:
        progress[ROUNDS] = progress.get(ROUNDS, 0) + 1
        raise
    except SignInRefused:
        raise
    except AdapterError as error:
        progress[LOOKUPS] = progress.get(LOOKUPS, 0) + 1
        if progress[LOOKUPS] < MOST_LOOKUPS and not isinstance(error, Refused):
            raise
        log.warning("the contact is not known: %s", error, extra={"call_id": telling.event.call_id})
        return None


def as_key(text: str | None) -> str | None:
    """A key of 1C's; None where the text is none."""
    return text if text and _GUID.fullmatch(text) else None


def state_key(base: Base, profile: Profile, name: str) -> str | None:
    """The key of a predefined state; None where the base does not tell."""
    known = _states.get((base.url, name))
    if known is None:
        try:
            rows = base.rows(profile.states)
        except (Refused, AdapterError) as error:
            if getattr(error, "maybe_done", False):
                raise
            return None
        there = [row for row in rows if row.get("Ref_Key") and not row.get("DeletionMark")]
        for property_name in ("PredefinedDataName", "Description"):  # a state of the company's own may have the name
            for row in there:
                _states.setdefault((base.url, str(row.get(property_name))), str(row["Ref_Key"]))
        known = _states.get((base.url, name))
    return known


def region_of(base: Base) -> str:
    """The country of numbers without a code."""
    return base.account.settings.get("phone_region") or "UA"


def zone_of(base: Base) -> ZoneInfo:
    """The base's own zone: what is set, else the PBX's."""
    settings = base.account.settings
    return ZoneInfo(settings.get("onec_timezone") or settings.get("evrotel_timezone") or "Europe/Kyiv")
