"""What the settings of a 1C base may be."""

from __future__ import annotations

import secrets
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crm_adapters.settings import web_address

BSP, UNF, TELEPHONY, LOOKUP = "bsp", "unf", "unf-telephony", "lookup-only"
PROFILES = (BSP, UNF, TELEPHONY, LOOKUP)
ODATA = "/odata/standard.odata"
SERVICE = "/hs/telephony/itoolabs"


def clean_url(value: str) -> str:
    """The address of a published base, with or without the path of one of its services or of a page in these."""
    for service in (ODATA, SERVICE):
        before, found, _ = value.partition(f"{service}/")
        value = f"{before}{found}"
    return web_address(value.rstrip("/"))


def base_of(url: str) -> str:
    """The address of the base: `https://host/base`."""
    for service in (ODATA, SERVICE):
        url = url.removesuffix(service)
    return url.rstrip("/")


def clean_zone(value: str) -> str:
    """A name of the IANA database."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("a time zone such as Europe/Kyiv") from None
    return value


def made_up_token() -> str:
    """A new key."""
    return secrets.token_urlsafe(24)
