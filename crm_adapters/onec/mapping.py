"""From the end of a call to 1C's document. Pure."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from crm_adapters.events import CallEnded, Direction, Disposition
from crm_adapters.onec.contacts import Contact
from crm_adapters.onec.profiles import COMMENT

_KEYS = uuid.UUID("7c0a5f5e-8c5b-4f0e-9d0a-5e1f3f6f4a11")
"""The namespace of our documents' keys."""
DONE, PLANNED, CANCELLED = "Завершено", "Запланировано", "Отменено"

SUBJECTS = {
    "uk": {Direction.INCOMING: "Вхідний дзвінок", Direction.OUTGOING: "Вихідний дзвінок"},
    "ru": {Direction.INCOMING: "Входящий звонок", Direction.OUTGOING: "Исходящий звонок"},
    "en": {Direction.INCOMING: "Incoming call", Direction.OUTGOING: "Outgoing call"},
}
MISSED = {"uk": "Пропущений дзвінок", "ru": "Пропущенный звонок", "en": "Missed call"}
TALK = {"uk": "Розмова", "ru": "Разговор", "en": "Talk"}
WITHHELD = {"uk": "прихований номер", "ru": "скрытый номер", "en": "withheld number"}
RECORDING = {"uk": "Запис", "ru": "Запись", "en": "Recording"}


def document_key(call_id: str) -> str:
    """The key of a call's document: always the same, so that a repeat finds it taken."""
    return str(uuid.uuid5(_KEYS, call_id))


def comment_of(call_id: str) -> str:
    """Our ID as it stands in the document."""
    return f"evrotel:{call_id}"


def is_missed(event: CallEnded) -> bool:
    """Whether a client called and reached nobody."""
    return event.direction is Direction.INCOMING and event.disposition is not Disposition.ANSWERED


def state_of(event: CallEnded) -> str:
    """The name of the state: what was talked is done, a missed client is to be called, else nothing came of it."""
    if event.disposition is Disposition.ANSWERED:
        return DONE
    return PLANNED if is_missed(event) else CANCELLED


def subject_of(event: CallEnded, language: str) -> str:
    kind = MISSED[language] if is_missed(event) else SUBJECTS[language][event.direction]
    return f"{kind} {number_of(event, language)}"


def description_of(event: CallEnded, language: str) -> str:
    """What is read in 1C: result, duration, where, and the link to the recording."""
    told = [event.result]
    if event.billsec:
        told.append(f"{TALK[language]} {event.billsec // 60}:{event.billsec % 60:02}.")
    text = " ".join(filter(None, told))
    return with_recording(text, event.recording_url, language) if event.recording_url else text


def with_recording(text: str, url: str, language: str) -> str:
    """A description with the link to the recording."""
    return f"{text} {RECORDING[language]}: {url}".strip()


def bsp_document(
    event: CallEnded, *, contact: Contact | None, user_id: str | None, zone: ZoneInfo, language: str
) -> dict[str, Any]:
    """`Document_ТелефонныйЗвонок`. Never posted: the configuration forbids it."""
    values: dict[str, Any] = {
        "Ref_Key": document_key(event.call_id),
        "Date": wall_time(event.started_at, zone),
        "Posted": False,
        "Входящий": event.direction is Direction.INCOMING,
        "АбонентКакСвязаться": number_of(event, language),
        "АбонентПредставление": name_of(event, contact, language),
        "АбонентКонтакт": contact.key if contact else "",
        "АбонентКонтакт_Type": contact.type if contact else "StandardODATA.Undefined",
        "Тема": subject_of(event, language),
        "Описание": description_of(event, language),
        COMMENT: comment_of(event.call_id),
        "Важность": "Высокая" if is_missed(event) else "Обычная",
    }
    if user_id:
        values |= {"Ответственный_Key": user_id, "Автор_Key": user_id}
    return values


def unf_document(
    event: CallEnded,
    *,
    contact: Contact | None,
    user_id: str | None,
    state_key: str | None,
    has_comment: bool,
    zone: ZoneInfo,
    language: str,
) -> dict[str, Any]:
    """`Document_Событие` of УНФ, as УНФ's own telephony makes it: an unknown caller is an empty text."""
    content = description_of(event, language)
    participant = {
        "LineNumber": "1",
        "Контакт": contact.key if contact else "",
        "Контакт_Type": contact.type if contact else "Edm.String",
        "КакСвязаться": number_of(event, language),
    }
    values: dict[str, Any] = {
        "Ref_Key": document_key(event.call_id),
        "Date": wall_time(event.started_at, zone),
        "Posted": False,
        "ТипСобытия": "ТелефонныйЗвонок",
        "ВходящееИсходящееСобытие": "Входящее" if event.direction is Direction.INCOMING else "Исходящее",
        "НачалоСобытия": wall_time(event.started_at, zone),
        "ОкончаниеСобытия": wall_time(event.ended_at, zone),
        "Тема": subject_of(event, language),
        "Тема_Type": "Edm.String",
        "Содержание": content if has_comment else f"{content} [{comment_of(event.call_id)}]",
        "Участники": [participant],
    }
    if has_comment:
        values[COMMENT] = comment_of(event.call_id)
    if state_key:
        values["Состояние_Key"] = state_key
    if user_id:
        values["Ответственный_Key"] = user_id
    return values


def name_of(event: CallEnded, contact: Contact | None, language: str) -> str:
    """Who it was, as far as that is known."""
    return (contact.name if contact else "") or number_of(event, language)


def number_of(event: CallEnded, language: str) -> str:
    """The client's number; of a withheld one words that say so, for 1C's forms take no empty field."""
    return event.client_number or WITHHELD[language]


def wall_time(moment: datetime, zone: ZoneInfo) -> str:
    """1C's local time without an offset: 2026-08-30T14:05:12."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")
