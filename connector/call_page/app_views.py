"""What makes a browser take us for the phone app: a web app's manifest and icons, and the script for one's own pages.

Open to all: they hold no more than the connection's name, which stands in the link anyway.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, jsonify, send_from_directory

from connector.call_page.formulas import link_to
from connector.call_page.scripts import numbers_script
from connector.connections.store import NoSuchConnection
from connector.deployment import deployment
from connector.locks import Lock, locked_by

blueprint = Blueprint("call_app", __name__, url_prefix="/call")
_STATIC = Path(__file__).parent / "static"


@blueprint.get("/<connection>/app.webmanifest")
@locked_by(Lock.PUBLIC)
def manifest(connection: str) -> Response:
    """Installed, the app opens `tel:` links of every program (Chrome, Edge: protocol_handlers)."""
    name = _known(connection)
    answer = jsonify(
        id=f"/call/{name}",
        name="Evrotel",
        short_name="Evrotel",
        start_url=f"/call/{name}",
        scope=f"/call/{name}",
        display="standalone",
        background_color="#ffffff",
        theme_color="#0b6bcb",
        icons=[
            {"src": "/call/-/icon.svg", "sizes": "any", "type": "image/svg+xml"},
            {"src": "/call/-/icon-192.png", "sizes": "192x192", "type": "image/png"},
            {"src": "/call/-/icon-512.png", "sizes": "512x512", "type": "image/png", "purpose": "any maskable"},
        ],
        protocol_handlers=[{"protocol": "tel", "url": f"/call/{name}?uri=%s"}],
    )
    answer.mimetype = "application/manifest+json"
    return answer


@blueprint.get("/-/<any('icon.svg', 'icon-192.png', 'icon-512.png'):name>")
@locked_by(Lock.PUBLIC)
def icon(name: str) -> Response:
    return send_from_directory(_STATIC, name, max_age=86400)


@blueprint.get("/<connection>/numbers.js")
@locked_by(Lock.PUBLIC)
def numbers(connection: str) -> Response:
    """Makes the numbers of one's own pages clickable."""
    link = link_to(deployment().settings.public_url, _known(connection))
    headers = {"Cache-Control": "max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(numbers_script(link), mimetype="text/javascript", headers=headers)


def _known(name: str) -> str:
    try:
        return deployment().connections.get(name).name
    except NoSuchConnection:
        abort(404)
