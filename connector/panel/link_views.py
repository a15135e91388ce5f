"""Links that call: formulas for spreadsheets, texts for documents, the bookmark, the phone app."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector.call_page.formulas import SPREADSHEETS, cell_or_first, formula, link_to, word_field
from connector.call_page.scripts import bookmarklet
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel.access import guarded, panel_user
from connector.panel.call_views import seen_connections

blueprint = guarded(Blueprint("links", __name__))


@blueprint.get("/links")
@locked_by(Lock.SESSION)
def links_page() -> str | Response:
    """The only connection's page at once; of several one is chosen."""
    connections = _connections()
    if len(connections) == 1:
        return redirect(url_for("links.connection_links", name=connections[0]))
    return render_template("panel/links_connections.html", connections=connections)


@blueprint.get("/links/<name>")
@locked_by(Lock.SESSION)
def connection_links(name: str) -> str:
    if name not in _connections():
        abort(404)
    public_url = deployment().settings.public_url
    link, cell = link_to(public_url, name), cell_or_first(request.args.get("cell", ""))
    return render_template(
        "panel/links.html",
        name=name,
        cell=cell,
        link=link,
        example=link_to(public_url, name, "+380671234567"),
        formulas=[(sheet, formula(sheet, link, cell)) for sheet in SPREADSHEETS],
        word=word_field(link),
        bookmark=bookmarklet(link),
        script=f"{public_url}/call/{name}/numbers.js",
        handler=f"{public_url}/call/{name}?uri=%s",
    )


def _connections() -> list[str]:
    """Those that the user may call from: an agent's own too, whatever calls they see."""
    user = panel_user()
    if user.connection_id is None:
        return [each.name for each in seen_connections(user)]
    return [each.name for each in deployment().connections.all() if each.id == user.connection_id]
