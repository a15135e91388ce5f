"""The automation robots: what the portal is told of them (REST docs, "bizproc.robot.add")."""

from __future__ import annotations

from typing import Any

CALL, PLAY = "evrotel_call", "evrotel_play"

Names = dict[str, str]

_PHONE = {
    "Name": {"ua": "Номер телефону", "ru": "Номер телефона", "en": "Phone number"},
    "Type": "string",
    "Required": "Y",
    "Default": "{=Document:PHONE}",
}
_USER = {
    "Name": {"ua": "Хто телефонує", "ru": "Кто звонит", "en": "Who calls"},
    "Description": {
        "ua": "Порожньо: відповідальний за клієнта",
        "ru": "Пусто: ответственный за клиента",
        "en": "Empty: whoever is responsible for the client",
    },
    "Type": "user",
    "Required": "N",
}
_MEDIAFILE = {
    "Name": {"ua": "Назва аудіофайлу в Evrotel", "ru": "Имя аудиофайла в Evrotel", "en": "Name of the file at Evrotel"},
    "Description": {
        "ua": "Наприклад 20558_hello.wav",
        "ru": "Например 20558_hello.wav",
        "en": "Such as 20558_hello.wav",
    },
    "Type": "string",
    "Required": "Y",
}
_RESULTS = {
    "result": {"Name": {"ua": "Результат", "ru": "Результат", "en": "Result"}, "Type": "string"},
    "seconds": {"Name": {"ua": "Тривалість, с", "ru": "Длительность, с", "en": "Duration, s"}, "Type": "int"},
    "message": {"Name": {"ua": "Опис", "ru": "Описание", "en": "Description"}, "Type": "string"},
}

_NAMES: dict[str, Names] = {
    CALL: {
        "ua": "Evrotel: зателефонувати клієнту",
        "ru": "Evrotel: позвонить клиенту",
        "en": "Evrotel: call the client",
    },
    PLAY: {
        "ua": "Evrotel: програти повідомлення",
        "ru": "Evrotel: проиграть сообщение",
        "en": "Evrotel: play a message",
    },
}
_PROPERTIES: dict[str, dict[str, Any]] = {
    CALL: {"phone": _PHONE, "user": _USER},
    PLAY: {"phone": _PHONE, "mediafile": _MEDIAFILE},
}


def robot_fields(code: str, handler: str, user_id: str) -> dict[str, Any]:
    """What a robot is, apart from its code; the workflow waits for our answer."""
    return {
        "HANDLER": handler,
        "AUTH_USER_ID": int(user_id) if user_id.isdecimal() else 1,
        "USE_SUBSCRIPTION": "Y",
        "NAME": _NAMES[code],
        "PROPERTIES": _PROPERTIES[code],
        "RETURN_PROPERTIES": _RESULTS,
    }
