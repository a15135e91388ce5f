"""Web addresses as people and other systems write them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

_UNFIT = re.compile(r"[^\x21-\x7e]")


def address_parts(address: str) -> SplitResult:
    """As `urlsplit`, but one that can't be read (`http://[x`, a port of letters) has no parts and raises nothing.

    Its `hostname` is then None and all else empty.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts


def is_web_address(value: str) -> bool:
    """Whether this is an http(s) address without credentials, query or fragment, spelt as it goes over the wire."""
    parts = address_parts(value)
    plain = not (_UNFIT.search(value) or "@" in parts.netloc or "?" in value or "#" in value)
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)
