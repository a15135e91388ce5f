"""Deliveries that need an admin's decision."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from connector.delivery import admin
from connector.deployment import deployment
from connector.locks import Lock, locked_by
from connector.panel import queries
from connector.panel.access import guarded, local_path

blueprint = guarded(Blueprint("deliveries", __name__))
MOST_AT_ONCE = 100


@blueprint.get("/deliveries")
@locked_by(Lock.ADMIN)
def deliveries_page() -> str:
    page = queries.stuck_deliveries(deployment().database, before=number_argument("before"))
    connections = deployment().connections.all()
    return render_template(
        "panel/deliveries.html",
        page=page,
        names={each.id: each.name for each in connections},
        zones={each.id: each.zone for each in connections},
    )


@blueprint.post("/deliveries/retry")
@locked_by(Lock.ADMIN)
def retry() -> Response:
    done = admin.retry(deployment().database, _chosen())
    return _back(ngettext("%(num)s delivery is tried again.", "%(num)s deliveries are tried again.", done))


@blueprint.post("/deliveries/give-up")
@locked_by(Lock.ADMIN)
def give_up() -> Response:
    done = admin.give_up(deployment().database, _chosen())
    return _back(ngettext("%(num)s delivery was given up.", "%(num)s deliveries were given up.", done))


def number_argument(name: str) -> int | None:
    """A whole number of the query, None where it is not given. 400 for anything else."""
    text = request.args.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18:
        abort(400)
    return int(text)


def _chosen() -> list[int]:
    given = request.form.getlist("id")
    if len(given) > MOST_AT_ONCE or any(not text.isdecimal() or len(text) > 18 for text in given):
        abort(400)
    return [int(text) for text in given]


def _back(text: str) -> Response:
    chosen = bool(request.form.getlist("id"))
    flash(text if chosen else gettext("Choose at least one delivery."), "success" if chosen else "warning")
    return redirect(local_path(request.form.get("next") or url_for("deliveries.deliveries_page")))
