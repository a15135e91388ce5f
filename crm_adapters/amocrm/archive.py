"""The widget's archive, as an account's administrator uploads it to the integration."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

WIDGET = Path(__file__).parent / "widget"
ADDRESS = "'@SERVER@'"
"""What stands in script.js where the server's address belongs."""


def widget_archive(*, base_url: str, connection: str, version: str) -> bytes:
    """The archive for one connection of the connector at `base_url`; the same for the same arguments."""
    files = {
        "manifest.json": _manifest(version),
        "script.js": _script(base_url, connection),
        **{f"i18n/{path.name}": path.read_bytes() for path in sorted(WIDGET.glob("i18n/*.json"))},
        **{f"images/{path.name}": path.read_bytes() for path in sorted(WIDGET.glob("images/*.png"))},
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # unix, wherever it is packed
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def widget_version(moment: datetime) -> str:
    """The version of a widget built at `moment`: amoCRM takes new files only from a version that is higher."""
    utc = moment.astimezone(UTC)
    return f"1.{utc:%y%m%d}.{utc.hour * 100 + utc.minute}"


def _manifest(version: str) -> bytes:
    manifest = json.loads((WIDGET / "manifest.json").read_text(encoding="utf-8"))
    manifest["widget"]["version"] = version
    return (json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode()


def _script(base_url: str, connection: str) -> bytes:
    base = urlsplit(base_url)
    if base.scheme not in {"http", "https"} or not base.hostname or base.username or base.query or base.fragment:
        raise ValueError(f"not an address of a server: {base_url}")
    if not re.fullmatch(r"[a-z0-9-]{1,40}", connection):
        raise ValueError(f"not the name of a connection: {connection}")
    script = (WIDGET / "script.js").read_text(encoding="utf-8")
    return script.replace(ADDRESS, json.dumps(f"{base_url.rstrip('/')}/amocrm/{connection}")).encode()
