"""The script that makes a page's numbers clickable, as a file and as a bookmark."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

_SOURCE = Path(__file__).parent / "static" / "numbers.js"


def numbers_script(link: str) -> str:
    """The script for one's own pages; `link` is the call page's, as far as the number's place."""
    return _source().replace('"{{link}}"', json.dumps(link).replace("<", "\\u003c"))


def bookmarklet(link: str) -> str:
    """The same as the address of a bookmark: whole, since a page's policy may let no other site's script in."""
    lines = (line.strip() for line in numbers_script(link).splitlines())
    code = " ".join(line for line in lines if line and not line.startswith("//"))
    return "javascript:" + quote(re.sub(r"\s+", " ", code), safe="(){}[];,.:=!?&|+-*/'_~$<>@")


@cache
def _source() -> str:
    return _SOURCE.read_text()
