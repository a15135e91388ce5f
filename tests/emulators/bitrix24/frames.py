"""The portal's page around an application, for a real browser: a frame, the form that opens the application in it, and
a stand-in for the library that pages in frames load (REST docs, "Application widgets", "BX24.js")."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

LIBRARY = "https://api.bitrix24.com/api/v1/"
STAND_IN = (Path(__file__).parent / "bx24.js").read_text()

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Portal</title>
<style>body {{ margin: 0 }} iframe {{ display: block; border: 0; width: 100%; height: 200px }}</style></head>
<body>
<h1>Portal</h1>
<form method="post" target="application" action="{action}">{fields}</form>
<iframe name="application" title="Application"></iframe>
<script>
  window.told = [];
  const frame = document.querySelector("iframe");
  addEventListener("message", (event) => {{
    if (event.source !== frame.contentWindow) return;
    window.told.push(event.data);
    if (event.data[0] === "resizeWindow") frame.style.height = event.data[2] + "px";
  }});
  document.forms[0].submit();
</script>
</body></html>"""


def page_with_frame(address: str, opening: tuple[Mapping[str, str], Mapping[str, str]]) -> str:
    """The page whose frame `opening` (query and form of the portal's POST) opens the application's `address` in."""
    query, form = opening
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">' for name, value in form.items()
    )
    return _PAGE.format(action=html.escape(f"{address}?{urlencode(query)}"), fields=fields)
