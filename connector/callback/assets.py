"""The two scripts that sites load: a small loader with the connection's own values, and the form, loaded when somebody
is about to need it. Both are given compressed where the browser takes that."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

from connector.callback.form import first_texts

_FOLDER = Path(__file__).parent / "static"
_PLACE = "__CONFIG__"


@cache
def form_script() -> bytes:
    return (_FOLDER / "form.js").read_bytes()


@cache
def form_version() -> str:
    """A digest of the form's script: a new one has a new address."""
    return hashlib.sha256(form_script()).hexdigest()[:12]


@cache
def _loader() -> str:
    return (_FOLDER / "loader.js").read_text()


def loader_script(base: str, origins: Sequence[str], language: str, phone: str) -> bytes:
    """The loader of one connection. All that is in it anybody may know: the sites show it to their visitors."""
    config = {
        "base": base,
        "form": f"form.js?v={form_version()}",
        "origins": list(origins),
        "language": language,
        "phone": phone,
        "texts": first_texts(),
    }
    return _loader().replace(_PLACE, _as_script(config), 1).encode()


def _as_script(value: object) -> str:
    """JSON that is the same within a script, whatever is in it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


@lru_cache(maxsize=256)
def compressed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def etag_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]
