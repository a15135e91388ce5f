"""The base itself: who may ask, what there is, what was written."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from tests.emulators.http import Dropped, Emulator, Request, Response
from tests.emulators.onec.configurations import BSP, MUST, Properties, metadata
from tests.emulators.onec.faults import Fault, odata_error
from tests.emulators.onec.filters import Wrong, read_filter
from tests.emulators.onec.telephony import TelephonyService
from tests.emulators.onec.values import Unfit, check_values

ODATA = "/base/odata/standard.odata"
SERVICE = "/base/hs/telephony/itoolabs"


class Asked(NamedTuple):
    """A request. `path` is decoded and begins after the service's root."""

    time: float
    verb: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


class OneC(Emulator):
    """One base. `complaints` are what a real one would take and an employee would miss: ignored or empty properties.

    `own_keys`: it gives keys of its own instead of those that it is sent.
    """

    def __init__(self, sets: Mapping[str, Properties] = BSP) -> None:
        super().__init__()
        self.sets = dict(sets)
        self.user, self.password = "odata_evrotel", "пароль-1С"
        self.rows: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in self.sets}
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[Asked] = []
        self.complaints: list[str] = []
        self.faults: list[tuple[str, str, Fault]] = []
        self.own_keys = False
        self.denied: set[str] = set()
        self.telephony = TelephonyService()

    @property
    def url(self) -> str:
        """`onec_url`."""
        return f"{self._server.url}{ODATA}"

    def add(self, name: str, description: str, **more: Any) -> str:
        """An element of a catalog; its key."""
        key = str(uuid.uuid4())
        self.rows[name][key] = {"Ref_Key": key, "Description": description, "DeletionMark": False, **more}
        return key

    def add_contact(self, catalog: str, description: str, phone: str, **more: Any) -> str:
        """An element with a telephone number as somebody has written it."""
        key = self.add(catalog, description, **more)
        row = {"Ref_Key": key, "LineNumber": "1", "Тип": "Телефон", "Представление": phone, "НомерТелефона": phone}
        self.tables.setdefault(f"{catalog}_КонтактнаяИнформация", []).append(row)
        return key

    def documents(self, name: str) -> list[dict[str, Any]]:
        """What was written into a set, in order."""
        return list(self.rows[name].values())

    def fail(self, verb: str, beginning: str, *faults: Fault) -> None:
        """The next requests that match meet these, one each."""
        self.faults += [(verb, beginning, fault) for fault in faults]

    def writes(self) -> list[Asked]:
        """All that was not only read."""
        return [each for each in self.asked if each.verb != "GET"]

    def _answer(self, request: Request) -> Response:
        path = unquote(request.path)
        if path.startswith(SERVICE):
            return self.telephony.answer(request, path.removeprefix(SERVICE))
        if not path.startswith(ODATA):
            return Response(b"<html><body>404</body></html>", 404)
        asked = self._asked(request, path.removeprefix(ODATA).lstrip("/"))
        self.asked.append(asked)
        if not self._is_user(request):
            return Response(b"", 401, headers={"WWW-Authenticate": 'Basic realm="1C:Enterprise"'})
        return self._with_faults(asked)

    def _asked(self, request: Request, path: str) -> Asked:
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        body = json.loads(request.body) if request.body else None
        return Asked(time.monotonic(), request.verb, path, dict(parse_qsl(request.query)), body, headers)

    def _with_faults(self, asked: Asked) -> Response:
        fault = next((each for each in self.faults if each[0] == asked.verb and asked.path.startswith(each[1])), None)
        if fault is None:
            return self._serve(asked)
        self.faults.remove(fault)
        time.sleep(fault[2].seconds)
        response = self._serve(asked) if fault[2].effect or not (fault[2].response or fault[2].drop) else None
        if fault[2].drop:
            raise Dropped
        return fault[2].response or response or Response(b"", 500)

    def _serve(self, asked: Asked) -> Response:
        if "1c_odata-dataloadmode" in asked.headers:
            self.complaints.append("load mode skips what the configuration does at a write")
        if asked.path == "$metadata":
            return Response(metadata(self.sets), 200, "application/xml")
        if asked.query.get("$format") != "json":
            self.complaints.append(f"{asked.path}: no $format=json")
        found = re.fullmatch(r"([\w]+)(?:\(guid'([^']*)'\))?", asked.path)
        if found is None:
            return odata_error(400, "4", f"Неверный URL {asked.path}")
        name, key = found[1], found[2]
        if name not in self.sets:
            return odata_error(404, "8", f"Сущность {name} не найдена")
        if name in self.denied:
            return odata_error(401, "20", "Недостаточно прав")
        if asked.verb == "POST" and key is None:
            return self._create(name, asked.body)
        if asked.verb == "PATCH" and key is not None:
            return self._change(name, key, asked.body)
        if asked.verb != "GET":
            return odata_error(400, "16", f"Метод {asked.verb}")
        return self._one(name, key) if key is not None else self._list(name, asked.query)

    def _one(self, name: str, key: str) -> Response:
        row = self.rows[name].get(key)
        return odata_error(404, "9", "Экземпляр не найден") if row is None else _json(row)

    def _list(self, name: str, query: Mapping[str, str]) -> Response:
        rows = self.tables.get(name, list(self.rows[name].values()))
        if "$filter" in query:
            try:
                condition = read_filter(query["$filter"], self.sets[name])
            except Wrong as error:
                return odata_error(400, "14", f"Ошибка при разборе $filter: {error}")
            rows = [row for row in rows if condition(row)]
        return _json({"odata.metadata": "...", "value": rows[: int(query.get("$top", 1000))]})

    def _create(self, name: str, values: dict[str, Any]) -> Response:
        ignored = set(values) - set(self.sets[name])
        empty = [each for each in MUST.get(name, ()) if not values.get(each)]
        if values.get("Posted"):
            return odata_error(500, "-1", "Проведение запрещено")
        try:
            check_values(values, self.sets[name], self.sets, self.rows)
        except Unfit as error:
            return odata_error(404 if error.code == "9" else 400, error.code, str(error))
        key = str(uuid.uuid4()) if self.own_keys else values.get("Ref_Key") or str(uuid.uuid4())
        if key in self.rows[name]:
            return odata_error(400, "15", "Экземпляр с таким ключом уже существует")
        self.complaints += [f"{name}: {each} is ignored" for each in sorted(ignored)]
        self.complaints += [f"{name}: {each} is empty" for each in empty]
        made = {**{each: values[each] for each in values if each not in ignored}, "Ref_Key": key, "DataVersion": "AAA="}
        self.rows[name][key] = made
        return _json(made, 201)

    def _change(self, name: str, key: str, values: dict[str, Any]) -> Response:
        row = self.rows[name].get(key)
        if row is None:
            return odata_error(404, "9", "Экземпляр не найден")
        try:
            check_values(values, self.sets[name], self.sets, self.rows)
        except Unfit as error:
            return odata_error(404 if error.code == "9" else 400, error.code, str(error))
        self.complaints += [f"{name}: {each} is ignored" for each in sorted(set(values) - set(self.sets[name]))]
        row |= {each: values[each] for each in values if each in self.sets[name]}
        return _json(row)

    def _is_user(self, request: Request) -> bool:
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return str(request.headers.get("Authorization", "")) == f"Basic {expected}"


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False).encode(), status, "application/json;charset=utf-8")
