"""1C: one document for each call, whatever configuration it is, and whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from connector.delivery import loop, retry
from connector.models import Call, Delivery
from crm_adapters import http
from crm_adapters.onec import adapter
from crm_adapters.onec.contacts import is_number
from tests.emulators.evrotel import Recordings, WebApps, wav
from tests.emulators.onec import Fault, OneC
from tests.emulators.onec.configurations import ACCOUNTING, BSP, UNF, Properties
from tests.emulators.onec.faults import exception, odata_error, page
from tests.running import wait_for
from tests.served import TOKEN, ServedHere

CLIENT, LINE = "0671234567", "0441112233"
ANSWERED = {"disposition": "ANSWERED", "billsec": "95"}
GUID = "6f0d3c1e-1111-4222-8333-444455556666"
CALL, EVENT = "Document_ТелефонныйЗвонок", "Document_Событие"
Office = Callable[..., tuple[ServedHere, OneC]]


@pytest.fixture
def office(tmp_path: Path, evrotel_apps: WebApps) -> Iterator[Office]:
    """Makes a base and a connection to it."""
    made: list[Any] = []

    def make(sets: Mapping[str, Properties] = BSP, *, users: str = "", **values: str) -> tuple[ServedHere, OneC]:
        base = OneC(sets)
        here = ServedHere(tmp_path, evrotel_api_url=evrotel_apps.url, evrotel_dial_url=evrotel_apps.dial_url)
        for each in (base, here):
            each.__enter__()
            made.append(each)
        if users:
            values["extensions"] = f"101={base.add(users, 'Марія')}"
        settings = {"evrotel_token": TOKEN, "evrotel_billcode": "20558", "onec_url": base.url, "onec_user": base.user}
        here.deployment.connections.add("acme", "onec", settings | {"onec_password": base.password} | values)
        here.work()
        return here, base

    yield make
    for each in reversed(made):
        each.__exit__(None, None, None)


def play(here: ServedHere, number: str = CLIENT, to: str = "101", direction: str = "i", **end: Any) -> str:
    """A call from its start to its end; the callid."""
    evrotel = here.transmitter()
    numbers = (number, to) if direction == "i" else (to, number)
    started = evrotel.start(*numbers, direction)
    assert started.status == 200
    evrotel.end(started.callid, direction, **({"disposition": "NO ANSWER", "billsec": "0"} | end))
    return started.callid


def document(base: OneC, name: str = CALL, number: int = 1) -> dict[str, Any]:
    wait_for(lambda: len(base.documents(name)) >= number, 15)
    return base.documents(name)[number - 1]


def test_bsp_gets_one_document_with_contact_responsible_and_result(office: Office) -> None:
    here, base = office(users="Catalog_Пользователи")
    partner = base.add_contact("Catalog_Партнеры", "ТОВ\0Ромашка", "380671234567")  # which JSON may have
    callid = play(here, **ANSWERED, recfile="/wav/1.wav")
    made = document(base)
    assert made["Date"] == "2018-04-01T00:00:11"  # the base's own wall time
    assert (made["Входящий"], made["АбонентКакСвязаться"]) == (True, "+380671234567")
    assert (made["АбонентКонтакт"], made["АбонентКонтакт_Type"]) == (partner, "StandardODATA.Catalog_Партнеры")
    assert made["АбонентПредставление"] == "ТОВ Ромашка"
    assert made["Ответственный_Key"] == next(iter(base.rows["Catalog_Пользователи"]))
    assert "1:35" in made["Описание"]
    assert "/recordings/" in made["Описание"]
    assert made["Комментарий"] == f"evrotel:{callid}"
    assert (made["Важность"], made["Posted"]) == ("Обычная", False)
    assert base.complaints == []


def test_unf_gets_an_event_that_is_done_or_to_be_called_back(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "DELIVERY_WAITS", (0.1, 60))
    here, base = office(UNF, users="Catalog_Сотрудники")
    base.add("Catalog_СостоянияСобытий", "Завершено", DeletionMark=True)
    states = {name: base.add("Catalog_СостоянияСобытий", name) for name in ("Запланировано", "Завершено", "Отменено")}
    client = base.add_contact("Catalog_Контрагенты", "Іван", "067 123-45-67")
    play(here, **ANSWERED)
    document(base, EVENT)
    play(here, "0501112233")
    answered, missed = document(base, EVENT, 1), document(base, EVENT, 2)
    assert answered["Состояние_Key"] == states["Завершено"]
    [participant] = answered["Участники"]
    assert (participant["Контакт"], participant["Контакт_Type"]) == (client, "StandardODATA.Catalog_Контрагенты")
    assert answered["ОкончаниеСобытия"] > answered["НачалоСобытия"]
    assert missed["Состояние_Key"] == states["Запланировано"]
    assert missed["Участники"][0]["Контакт"] == ""
    del base.rows["Catalog_СостоянияСобытий"][states["Завершено"]]  # as in a base that was set up anew
    another = base.add("Catalog_СостоянияСобытий", "Завершено")
    play(here, "0501112244", **ANSWERED)
    assert document(base, EVENT, 3)["Состояние_Key"] == another
    assert base.complaints == []


@pytest.mark.parametrize(
    "kept", ["380671234567", "+380671234567", "0671234567", "+38 (067) 123-45-67", "067-123-45-67", "8 067 123 45 67"]
)
def test_contacts_are_found_however_their_number_is_written(office: Office, kept: str) -> None:
    here, base = office()
    base.add_contact("Catalog_Партнеры", "Інший", "0509994567")
    base.add_contact("Catalog_Партнеры", "Видалений", kept, DeletionMark=True)
    partner = base.add_contact("Catalog_Партнеры", "Наш", kept)
    play(here)
    made = document(base)
    assert made["АбонентКонтакт"] == partner
    assert made["Важность"] == "Высокая"


@pytest.mark.parametrize(
    ("kept", "caller", "same"),
    [
        ("050 777 00 01", "+380507770001", True),
        ("050 777 00 01", "+48507770001", False),
        ("+38 (050) 777-00-01", "+48507770001", False),
        ("8 050 777 00 01", "+48507770001", False),
        ("+48 507 770 001", "+380507770001", False),
        ("0048507770001", "+48507770001", True),
        ("507770001", "+48507770001", True),
        ("+1 (212) 555-0123", "+12125550123", True),
        ("8 (916) 123-45-67", "+79161234567", True),
        ("+683 4000", "+6834000", True),
    ],
)
def test_a_neighbours_number_with_the_same_end_is_another(kept: str, caller: str, same: bool) -> None:
    assert is_number(kept, caller, "380") is same


def test_a_large_base_has_many_numbers_with_the_same_end(office: Office) -> None:
    here, base = office()
    for other in range(1200):
        base.add_contact("Catalog_Партнеры", "Інший", f"050{other:03}4567")
    partner = base.add_contact("Catalog_Партнеры", "Наш", "067 123-45-67")
    play(here)
    assert document(base)["АбонентКонтакт"] == partner


@pytest.mark.parametrize(
    "fault",
    [
        Fault(drop=True),
        Fault(drop=True, effect=True),
        page(502),
        page(504),
        Fault(response=odata_error(400, "15", "exists"), effect=True),
        exception(),
    ],
)
def test_a_fault_of_a_moment_costs_no_document_and_doubles_none(office: Office, fault: Fault) -> None:
    here, base = office()
    base.fail("POST", CALL, fault)
    play(here)
    document(base)
    wait_for(lambda: not waiting(here), 20)
    assert len(base.documents(CALL)) == 1


@pytest.mark.parametrize(("sets", "name"), [(BSP, CALL), (UNF, EVENT)])
def test_a_base_that_gives_its_own_keys_is_looked_through(
    office: Office, monkeypatch: pytest.MonkeyPatch, sets: Mapping[str, Properties], name: str
) -> None:
    monkeypatch.setattr(retry, "DELIVERY_WAITS", (0.1, 0.1, 0.1, 60))
    monkeypatch.setattr(retry, "FIRST_PROBES", (0.1, 0.1, 0.1, 10))
    here, base = office(sets)
    base.own_keys = True
    base.fail("POST", name, Fault(drop=True, effect=True))
    play(here, "sip:o'neil@pbx")
    wait_for(lambda: not waiting(here), 20)
    assert len(base.documents(name)) == 1


def test_a_company_rule_that_refuses_is_not_asked_for_ever(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "DELIVERY_WAITS", (0.1, 0.1, 0.1, 60))
    here, base = office()
    base.fail("POST", CALL, *[exception()] * 9)
    play(here)
    wait_for(lambda: [row.state for row in waiting(here, "dead")] == ["dead"], 20)
    assert len(base.writes()) == 3
    assert "Превышен лимит" in waiting(here, "dead")[0].error


def test_a_refused_password_pauses_and_the_right_one_sends_what_waits(office: Office) -> None:
    here, base = office(onec_password="wrong")
    play(here)
    wait_for(lambda: here.deployment.connections.get("acme").paused, 15)
    play(here, "0501112233")
    here.set(onec_password=base.password)
    wait_for(lambda: len(base.documents(CALL)) == 2, 15)


def test_a_responsible_who_is_gone_costs_the_call_nothing(office: Office) -> None:
    here, base = office(extensions="101=11111111-1111-1111-1111-111111111111")
    play(here)
    assert "Ответственный_Key" not in document(base)


def test_an_object_that_is_not_published_is_waited_for(office: Office) -> None:
    here, base = office(onec_profile="bsp")
    del base.sets[CALL]
    play(here)
    wait_for(lambda: here.deployment.connections.by_id(1).trouble, 15)  # type: ignore[union-attr]  # it is there
    base.sets[CALL] = BSP[CALL]
    document(base)


def test_check_compares_each_property_and_writes_nothing(office: Office) -> None:
    here, base = office(users="Catalog_Пользователи")
    assert {each.status for each in here.check() if each.name.startswith("1c")} == {"ok"}
    base.sets[CALL] = {name: kind for name, kind in BSP[CALL].items() if name != "Важность"}
    finding = next(each for each in here.check() if each.name == "1c-document")
    assert (finding.status, "Важность" in finding.text) == ("error", True)
    next(iter(base.rows["Catalog_Пользователи"].values()))["Недействителен"] = True
    assert {each.status for each in here.check() if each.name == "1c-users"} == {"error"}
    here.set(extensions="101=garbage")
    assert "garbage" in next(each.text for each in here.check() if each.name == "1c-users")
    base.denied |= {CALL, "Catalog_Пользователи"}
    said = [each for each in here.check() if each.name.startswith("1c")]
    assert [each.text.split()[0] for each in said if each.name == "1c-rights"] == [CALL, "Catalog_Пользователи"]
    assert "1c-contacts" in {each.name for each in said}
    assert base.writes() == []


def test_a_withheld_caller_gets_a_document_too(office: Office) -> None:
    here, base = office(language="ru")
    play(here, "anonymous", **ANSWERED)
    made = document(base)
    assert (made["АбонентКакСвязаться"], made["АбонентПредставление"]) == ("скрытый номер", "скрытый номер")
    assert made["Тема"] == "Входящий звонок скрытый номер"
    assert not [each for each in base.asked if "КонтактнаяИнформация" in each.path]
    assert base.complaints == []


@pytest.mark.parametrize("sets", [BSP, UNF])
def test_a_recording_that_is_named_later_is_added_to_the_document(
    office: Office, recordings: Recordings, sets: Mapping[str, Properties]
) -> None:
    """And what somebody has written into it meanwhile stays."""
    name, text = (CALL, "Описание") if sets is BSP else (EVENT, "Содержание")
    here, base = office(sets, evrotel_recordings_url=recordings.url)
    recordings.add("/wav/2.wav", wav(1))
    callid = play(here, **ANSWERED, recfile="")
    document(base, name)[text] += " Remark."
    here.transmitter().end(callid, **ANSWERED, recfile="/wav/2.wav")
    wait_for(lambda: "/recordings/" in base.documents(name)[0][text], 15)
    assert " Remark. Запис: http" in base.documents(name)[0][text]
    assert len(base.documents(name)) == 1
    play(here, "0501112233", **ANSWERED, recfile="/wav/2.wav")
    document(base, name, 2)
    wait_for(lambda: not waiting(here), 15)
    assert [each.verb for each in base.writes()] == ["POST", "PATCH", "POST"]
    assert not [each for each in base.complaints if "ignored" in each]


def test_accounting_looks_names_up_and_gets_no_documents(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    here, base = office(ACCOUNTING)
    base.add_contact("Catalog_Контрагенты", "ТОВ Ромашка", "0671234567")
    evrotel = here.transmitter()
    evrotel.start(CLIENT, "101")
    wait_for(lambda: card(here) == {"name": "ТОВ Ромашка"}, 10)
    assert base.writes() == []
    assert "warning" in {each.status for each in here.check() if each.name == "1c-document"}
    monkeypatch.setattr(adapter, "LOOKUP_LASTS", 0.0)
    base.sets[CALL], base.rows[CALL] = BSP[CALL], {}
    play(here, "0501112233")
    document(base)


def test_unf_telephony_shows_cards_keeps_calls_and_dials(office: Office) -> None:
    here, base = office(UNF, onec_profile="unf-telephony", onec_crm_token="crm-token-1C", onec_pbx_token="pbx-token-1C")
    base.telephony.contacts["380671234567"] = {"contact_name": "Іван", "responsible": "101"}
    evrotel = here.transmitter()
    started = evrotel.start(CLIENT, "101", calldate=None)
    wait_for(lambda: card(here) == {"name": "Іван", "responsible": "101"}, 10)
    evrotel.end(started.callid, **ANSWERED)
    wait_for(lambda: len(base.telephony.said) == 4, 10)
    said = base.telephony.said
    assert (said[0]["cmd"], said[0]["type"]) == ("event", "INCOMING")
    assert (said[2]["type"], said[3]["status"], said[3]["duration"]) == ("COMPLETED", "Success", "95")
    asked = {"cmd": "accounts", "token": "pbx-token-1C"}
    accounts = requests.post(f"{here.url}/onec/acme/telephony", data=asked, timeout=5)
    assert accounts.json() == [{"name": "101", "ext": "101"}]
    assert base.telephony.refusals == []
    assert {each.status for each in here.check() if each.name.startswith("1c")} == {"ok"}


def test_unf_has_a_number_dialled_once_and_is_told_why_not(office: Office, evrotel_apps: WebApps) -> None:
    here, _ = office(UNF, onec_profile="unf-telephony", onec_pbx_token="pbx-token-1C", extensions=f"101={GUID}")
    door = f"{here.url}/onec/acme/telephony"
    call = {"cmd": "makeCall", "phone": "380501112233", "user": "101", "token": "pbx-token-1C"}

    def answer(**changes: str) -> int:
        return requests.post(door, data=call | changes, timeout=5).status_code

    accounts = requests.post(f"{door}/", data={"cmd": "accounts", "token": "pbx-token-1C"}, timeout=5)
    assert accounts.json() == [{"name": "101", "ext": "101"}]
    refused = [answer(token="x"), answer(user="999"), answer(phone="067;rm -rf"), answer(phone="101"), answer(user="a")]
    assert refused == [401, 400, 400, 400, 400]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda _: answer(), range(2))) == [200, 200]
    assert [each.path for each in evrotel_apps.requests] == [evrotel_apps.requests[0].path]
    evrotel_apps.refuse = True
    refusal = requests.post(door, data=call | {"phone": "380671112233"}, timeout=5)
    assert (refusal.status_code, refusal.text) == (502, "Evrotel відмовив.")
    evrotel_apps.go_down()
    assert answer(phone="380672223344") == 502


def test_unf_telephony_keeps_outgoing_calls_and_calls_to_a_line(office: Office, recordings: Recordings) -> None:
    urls = {"evrotel_recordings_url": recordings.url}
    here, base = office(UNF, onec_profile="unf-telephony", onec_crm_token="crm-token-1C", **urls)
    base.telephony.contacts["380671234567"] = {"contact_name": "Іван", "responsible": "101"}
    evrotel = here.transmitter()
    evrotel.start(CLIENT, LINE)
    wait_for(lambda: len(base.telephony.said) == 2, 10)
    assert base.telephony.said[1]["ext"] == "101"  # the card is the responsible's
    base.telephony.said.clear()
    outgoing = evrotel.start("101", CLIENT, "o")
    wait_for(lambda: len(base.telephony.said) == 2, 10)  # while it rings
    evrotel.end(outgoing.callid, "o", **ANSWERED, recfile="")
    wait_for(lambda: len(base.telephony.said) == 4, 10)
    assert [each.get("type") for each in base.telephony.said] == ["OUTGOING", None, "COMPLETED", "out"]
    recordings.add("/wav/2.wav", wav(1))
    evrotel.end(outgoing.callid, "o", **ANSWERED, recfile="/wav/2.wav")
    wait_for(lambda: "/recordings/" in base.telephony.said[-1].get("link", ""), 10)
    assert base.telephony.said[-1] == base.telephony.said[3] | {"link": base.telephony.said[-1]["link"]}
    base.telephony.said.clear()
    play(here, "anonymous", **ANSWERED)
    wait_for(lambda: len(base.telephony.said) == 3, 10)
    assert {(each["cmd"], each["phone"]) for each in base.telephony.said} == {("event", ""), ("history", "")}
    assert base.telephony.refusals == []


def test_unf_telephony_with_a_wrong_key_pauses_and_check_says_so(office: Office) -> None:
    here, _ = office(UNF, onec_profile="unf-telephony", onec_crm_token="another-token")
    assert {each.status for each in here.check() if each.name.startswith("1c")} == {"error"}
    here.transmitter().start(CLIENT, "101")
    wait_for(lambda: here.deployment.connections.get("acme").paused_reason, 10)


def waiting(here: ServedHere, *states: str) -> list[Any]:
    """Deliveries that are not settled, or those in these states."""
    with here.deployment.database.read() as db:
        query = select(Delivery.kind, Delivery.state, Delivery.error)
        return list(db.execute(query.where(Delivery.state.in_(states or ("pending", "waiting")))))


def card(here: ServedHere) -> Any:
    with here.deployment.database.read() as db:
        return db.execute(select(Call.crm_notes)).scalar_one().get("card")


def test_a_base_that_is_slow_is_asked_on_from_where_it_was(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TELL_SECONDS", 2.5)
    here, base = office()
    partner = base.add_contact("Catalog_Партнеры", "Наш", "0671234567")
    base.fail("GET", "Catalog", *[Fault(seconds=1.2)] * 4)
    play(here)
    assert document(base)["АбонентКонтакт"] == partner
    assert len([each for each in base.asked if each.path.startswith("Catalog")]) <= 5


def test_a_base_may_take_longer_for_an_answer_than_a_round(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TELL_SECONDS", 0.9)
    monkeypatch.setattr(adapter, "LEAST_SECONDS", 0.1)
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.2)
    here, base = office()
    base.fail("GET", "$metadata", Fault(seconds=0.3))
    play(here)
    document(base)
    base.fail("GET", "Catalog_Партнеры", Fault(), Fault(seconds=1))  # the last, so that no time is left to write
    base.fail("POST", CALL, Fault(seconds=1))
    here.transmitter().end(None, numberA="0501112233", numberB="101", recfile="NULL")
    wait_for(lambda: not waiting(here), 15)
    assert [each.path for each in base.asked].count("$metadata") == 1
    assert [each.verb for each in base.asked if each.path.startswith(CALL)] == ["POST", "POST"]
