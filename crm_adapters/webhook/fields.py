"""What a webhook's settings may be."""

from __future__ import annotations

import base64
import binascii
import re
import secrets

from crm_adapters.addresses import address_parts

TYPES = (
    "call.started",
    "call.finished",
    "call.missed",
    "call.returned",
    "recording.ready",
    "callback.requested",
    "callback.finished",
    "autodial.call.finished",
    "autodial.campaign.finished",
)
"""The events there are; `ping` is sent whatever is set."""

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
"""The length of a secret by the specification."""
MOST_SECRETS = 3
_UNFIT = re.compile(r"[^\x21-\x7e]")


def clean_address(value: str) -> str:
    """An http(s) address; it may have a query, never credentials or a fragment."""
    parts = address_parts(value)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "@" in parts.netloc
        or "#" in value
        or _UNFIT.search(value)
    ):
        raise ValueError("a web address such as https://crm.example.com/hooks/evrotel")
    return value


def clean_secrets(value: str) -> str:
    """One secret, or several where one takes another's place: the newest first, spaces or commas between."""
    given = secrets_of(value)
    if not 1 <= len(given) <= MOST_SECRETS or not all(map(_is_secret, given)):
        raise ValueError(f"{PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64, or at most {MOST_SECRETS} such")
    return " ".join(given)


def secrets_of(value: str) -> list[str]:
    """The secrets of the setting, each once."""
    return list(dict.fromkeys(filter(None, re.split(r"[\s,]+", value))))


def _is_secret(value: str) -> bool:
    try:
        decoded = base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    return value.startswith(PREFIX) and LEAST_BYTES <= len(decoded) <= MOST_BYTES


def made_up_secret() -> str:
    """A new secret of 32 bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def clean_types(value: str) -> str:
    """Names of events, each once."""
    given = types_of(value)
    if not given or not given <= set(TYPES):
        raise ValueError(f"some of {', '.join(TYPES)}")
    return ",".join(name for name in TYPES if name in given)


def types_of(value: str) -> frozenset[str]:
    """The events that are sent; all where nothing is set."""
    return frozenset(filter(None, re.split(r"[\s,]+", value))) or frozenset(TYPES)
