"""What CRMs are told of where a visitor was who asked for a call on a site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from connector.callback.texts import ORIGIN, ORIGIN_PAGE, ORIGIN_REFERRER, ORIGIN_UTM
from connector.db import Database
from connector.models import CallbackRequest, DialOrigin
from connector.texts import in_language

SHOWN = 200
NO_MARKUP = str.maketrans("[]<>", "()()")
"""People may write anything: in a CRM it stays text."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a call was asked for: text for people, and the utm tags by name."""

    text: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def origin_of(database: Database, dial_key: str | None, language: str) -> Origin:
    """The origin of the call that this key's request to dial was for; an empty one where no site's visitor asked."""
    request_id = callback_id(dial_key)
    if not request_id:
        return Origin()
    query = select(*CallbackRequest.__table__.columns).where(CallbackRequest.id == request_id)
    with database.read() as db:
        row = db.execute(query).first()
    return _told(row, language) if row is not None else Origin()


def callback_id(dial_key: str | None) -> str:
    """The ID of the call-back request that this key's request to dial was for; empty where there was none."""
    name, _, rest = (dial_key or "").partition("-")
    return rest.partition("-")[0] if name == DialOrigin.SITE else ""


def _told(row: Any, language: str) -> Origin:
    page = " ".join(filter(None, (row.title, row.page))) or row.origin
    tags = {name: str(value).translate(NO_MARKUP) for name, value in row.utm.items()}
    told = [in_language(language, ORIGIN), in_language(language, ORIGIN_PAGE, page=page[:SHOWN])]
    if row.referrer:
        told.append(in_language(language, ORIGIN_REFERRER, referrer=row.referrer[:SHOWN]))
    if tags:
        told.append(in_language(language, ORIGIN_UTM, tags=", ".join(f"{key}={tags[key]}" for key in tags)[:SHOWN]))
    return Origin(text=" · ".join(told).translate(NO_MARKUP), tags=tags)
