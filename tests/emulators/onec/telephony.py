"""УНФ's `/hs/telephony/itoolabs`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from tests.emulators.http import Request, Response

EVENTS = {"INCOMING", "OUTGOING", "ACCEPTED", "COMPLETED", "CANCELLED"}
STATUSES = {"Success", "Missed", "Cancel", "Busy", "NotAvailable", "NotAllowed", "NotFound"}


class TelephonyService:
    """Takes commands with the right key; `said` are these in order, `contacts` who has which number."""

    def __init__(self) -> None:
        self.crm_token = "crm-token-1C"
        self.said: list[dict[str, str]] = []
        self.refusals: list[str] = []
        self.contacts: dict[str, dict[str, Any]] = {}

    def answer(self, request: Request, path: str) -> Response:
        if request.verb == "GET" and path == "/ping":
            return Response(b"OK")
        if request.verb != "POST":
            return Response(b"", 405)
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        if form.pop("crm_token", "") != self.crm_token:
            return Response(b"", 400)  # as TelephonyApi of УНФ does
        if problem := self._problem(form):
            self.refusals.append(problem)
            return Response(problem.encode(), 400)
        self.said.append(form)
        if form["cmd"] == "contact":
            return Response(json.dumps(self.contacts.get(form["phone"], {})).encode(), 200, "application/json")
        return Response(b"")

    @staticmethod
    def _problem(form: dict[str, str]) -> str:
        match form.get("cmd"):
            case "contact":
                needed: set[str] = {"phone"}
            case "event":
                needed = {"type", "callid", "phone", "ext"}
            case "history":
                needed = {"callid", "status", "duration"}
            case other:
                return f"cmd {other}"
        if lacking := needed - set(form):
            return f"{form['cmd']} lacks {sorted(lacking)}"
        if form["cmd"] == "contact" and not form["phone"]:
            return "an empty number is the beginning of all"  # a real one answers with whoever comes first
        if form["cmd"] == "event" and form["type"] not in EVENTS:
            return f"type {form['type']}"
        if form["cmd"] == "history" and form["status"] not in STATUSES:
            return f"status {form['status']}"
        return "" if form.get("phone", "").isdecimal() or not form.get("phone") else f"phone {form['phone']}"
