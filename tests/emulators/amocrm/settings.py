"""The account itself: what it is, who its users are, its pipelines and fields (facts 1.2 and 1.6)."""

from __future__ import annotations

from typing import Any

from tests.emulators.amocrm.asks import Ask
from tests.emulators.amocrm.errors import hal, nothing
from tests.emulators.amocrm.parties import CUSTOM, ENUM_IDS
from tests.emulators.amocrm.records import FIRST_STATUS, LOST, PIPELINE, SECOND_STATUS, UNSORTED_STATUS, WON, Person
from tests.emulators.http import Response

ACCOUNT_EXTRAS = {
    "amojo_id",
    "amojo_rights",
    "users_groups",
    "task_types",
    "version",
    "entity_names",
    "datetime_settings",
    "drive_url",
    "is_api_filter_enabled",
}
STATUSES = (
    (UNSORTED_STATUS, "Неразобранное", 1),
    (FIRST_STATUS, "Первичный контакт", 0),
    (SECOND_STATUS, "Переговоры", 0),
    (WON, "Успешно реализовано", 0),
    (LOST, "Закрыто и не реализовано", 0),
)


def account(ask: Ask) -> Response:
    """The account, as its user sees it."""
    extras = ask.words("with") or set()
    if extras - ACCOUNT_EXTRAS:
        ask.violate(f"unknown with {sorted(extras - ACCOUNT_EXTRAS)}")
    kept = ask.account
    answer: dict[str, Any] = {
        "id": kept.id,
        "name": kept.name,
        "subdomain": kept.subdomain,
        "created_at": 1_585_000_000,
        "created_by": 0,
        "updated_at": 1_585_000_000,
        "updated_by": 0,
        "current_user_id": ask.person.id,
        "country": "UA",
        "currency": "UAH",
        "currency_symbol": "₴",
        "customers_mode": kept.customers_mode,
        "is_unsorted_on": kept.is_unsorted_on,
        "mobile_feature_version": 0,
        "is_loss_reason_enabled": True,
        "is_helpbot_enabled": False,
        "is_technical_account": False,
        "contact_name_display_order": 1,
        "_links": ask.link("/api/v4/account"),
    }
    answer |= {"amojo_id": "b7a1f3ba-0001"} if "amojo_id" in extras else {}
    answer |= {"version": 12} if "version" in extras else {}
    embedded = {name: value for name, value in _embedded().items() if name in extras}
    return hal(answer | ({"_embedded": embedded} if embedded else {}))


def users(ask: Ask) -> Response:
    """All users, dismissed ones too, for an administrator."""
    ask.require_admin()
    ask.words("with")
    return ask.listing("users", [_user(ask, each) for each in ask.account.users.values()], counted=True)


def one_user(ask: Ask, given: str) -> Response:
    """One user, for an administrator; 204 where there is none."""
    ask.require_admin()
    ask.words("with")
    found = ask.account.users.get(int(given))
    return hal(_user(ask, found)) if found else nothing()


def pipelines(ask: Ask) -> Response:
    """The only pipeline, with its statuses."""
    found = [_pipeline(ask)]
    return hal({"_total_items": 1, "_links": ask.link(ask.path), "_embedded": {"pipelines": found}})


def one_pipeline(ask: Ask, given: str) -> Response:
    """The pipeline."""
    return hal(_pipeline(ask)) if int(given) == PIPELINE else nothing()


def statuses(ask: Ask, given: str) -> Response:
    """The statuses of the pipeline."""
    found = _pipeline(ask)["_embedded"]["statuses"] if int(given) == PIPELINE else []
    return ask.listing("statuses", found, counted=True)


def custom_fields(ask: Ask, entity_type: str) -> Response:
    """The fields of contacts and companies; leads have none of their own here."""
    fields = [] if entity_type == "leads" else [_field(ask, entity_type, *each) for each in CUSTOM.items()]
    return ask.listing("custom_fields", fields, counted=True)


def _embedded() -> dict[str, Any]:
    return {
        "amojo_rights": {"can_direct": True, "can_create_groups": True},
        "users_groups": [{"id": 0, "name": "Отдел продаж", "uuid": None}],
        "task_types": [
            {"id": 1, "name": "Связаться", "color": None, "icon_id": None, "code": "FOLLOW_UP"},
            {"id": 2, "name": "Встреча", "color": None, "icon_id": None, "code": "MEETING"},
        ],
        "datetime_settings": {
            "date_pattern": "d.m.Y H:i",
            "short_date_pattern": "d.m.Y",
            "date_format": "d.m.Y",
            "time_format": "H:i:s",
            "timezone": "Europe/Kiev",
            "timezone_offset": "+02:00",
        },
    }


def _user(ask: Ask, person: Person) -> dict[str, Any]:
    everything = {"view": "A", "edit": "A", "add": "A", "delete": "A", "export": "A"}
    return {
        "id": person.id,
        "name": person.name,
        "email": person.email or f"user{person.id}@example.com",
        "lang": "ru",
        "rights": {
            "leads": everything,
            "contacts": everything,
            "companies": everything,
            "tasks": {"edit": "A", "delete": "A"},
            "mail_access": False,
            "catalog_access": False,
            "status_rights": [],
            "is_admin": person.is_admin,
            "is_free": person.is_free,
            "is_active": person.is_active,
            "group_id": None,
            "role_id": None,
        },
        "_links": ask.link(f"/api/v4/users/{person.id}"),
    }


def _pipeline(ask: Ask) -> dict[str, Any]:
    statuses = [
        {
            "id": number,
            "name": name,
            "sort": 10 * index,
            "is_editable": number not in (UNSORTED_STATUS, WON, LOST),
            "pipeline_id": PIPELINE,
            "color": "#fffeb2",
            "type": kind,
            "account_id": ask.account.id,
        }
        for index, (number, name, kind) in enumerate(STATUSES, 1)
    ]
    return {
        "id": PIPELINE,
        "name": "Воронка",
        "sort": 1,
        "is_main": True,
        "is_unsorted_on": ask.account.is_unsorted_on,
        "is_archive": False,
        "account_id": ask.account.id,
        "_links": ask.link(f"/api/v4/leads/pipelines/{PIPELINE}"),
        "_embedded": {"statuses": statuses},
    }


def _field(ask: Ask, entity_type: str, number: int, code: str) -> dict[str, Any]:
    many = code != "POSITION"
    enums = [{"id": ENUM_IDS[value], "value": value, "sort": index} for index, value in enumerate(ENUM_IDS, 1)]
    return {
        "id": number,
        "name": {"PHONE": "Телефон", "EMAIL": "Email", "POSITION": "Должность"}[code],
        "type": "multitext" if many else "text",
        "account_id": ask.account.id,
        "code": code,
        "sort": 4,
        "is_api_only": False,
        "enums": enums if many else None,
        "is_predefined": True,
        "entity_type": entity_type,
        "_links": ask.link(f"/api/v4/{entity_type}/custom_fields/{number}"),
    }
