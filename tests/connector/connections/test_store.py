"""Connections: added, changed, paused and removed; checked on the way in, sealed, seen by every process soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import OperationalError

from connector.connections.keys import ALL_FIELDS, clean_values
from connector.connections.store import FRESH_SECONDS, NoSuchConnection
from connector.db import now
from connector.delivery.outbox import delivery_row
from connector.deployment import Deployment
from connector.models import Call, CallState, Delivery, DeliveryKind, DeliveryState, Lane
from connector.secrets import WrongKey
from crm_adapters.contract import Capability
from crm_adapters.registry import DESCRIPTIONS
from tests.conftest import MakeDeployment


def test_a_connection_has_what_was_set_and_defaults_for_the_rest(deployment: Deployment) -> None:
    made = deployment.connections.add(
        "acme", "bitrix24", {"evrotel_token": "12345678", "extensions": " 101=7 , 102=9 "}
    )
    assert (made.name, made.crm, made.get("evrotel_token")) == ("acme", "bitrix24", "12345678")
    assert made.get("extensions") == "101=7,102=9"
    assert (made.get("evrotel_timezone"), made.get("phone_region"), made.get("language")) == ("Europe/Kyiv", "UA", "uk")
    assert made.zone.key == "Europe/Kyiv"
    assert not made.paused


def test_a_token_is_made_up_where_none_is_given(deployment: Deployment) -> None:
    first, second = (deployment.connections.add(name, "journal", {}).get("evrotel_token") for name in ("a", "b"))
    assert len(first) >= 32
    assert first != second


def test_an_unfit_name_is_refused(deployment: Deployment) -> None:
    for name in ["", "Acme", "a b", "a_b", "a" * 41, "../x", "a\n", "å"]:
        with pytest.raises(ValueError, match="a connection's name should be 1 to 40 of a-z, 0-9 and -"):
            deployment.connections.add(name, "journal", {})
        with pytest.raises(NoSuchConnection):
            deployment.connections.get(name)


def test_a_name_is_taken_once(deployment: Deployment) -> None:
    deployment.connections.add("acme", "journal", {})
    with pytest.raises(ValueError, match="there is a connection acme already"):
        deployment.connections.add("acme", "journal", {})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("crm", "salesforce"),
        ("evrotel_token", "short"),
        ("evrotel_token", "with a space"),
        ("evrotel_billcode", "a b"),
        ("evrotel_recordings_url", "m01.sipiko.net"),
        ("evrotel_recordings_url", "https://user:password@host/"),
        ("evrotel_timezone", "Kyiv"),
        ("phone_region", "Ukraine"),
        ("language", "de"),
        ("extensions", "101:7"),
        ("extensions", "101=7,101=9"),
        ("create_customers", "yes"),
        ("default_user", "a b"),
        ("missed_call_task", "-1"),
        ("missed_call_task", "soon"),
        ("recordings_mode", "drop"),
        ("routing", "random"),
        ("callback_origins", "shop.example"),
        ("callback_extensions", "101;102"),
        ("callback_hours", "9-18"),
        ("callback_hours", "Mon 18:00-09:00"),
        ("bitrix24_client_id", "x y"),
    ],
)
def test_a_wrong_value_names_its_key(key: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{key} should be "):
        clean_values({"evrotel_billcode": "20558", key: value})


def test_a_wrong_value_changes_nothing(deployment: Deployment) -> None:
    deployment.connections.add("acme", "journal", {})
    with pytest.raises(ValueError, match=r"^phone_region should be a country's two letters such as UA"):
        deployment.connections.set("acme", {"evrotel_billcode": "20558", "phone_region": "Ukraine"})
    assert deployment.connections.get("acme").get("evrotel_billcode") == ""


def test_an_unknown_key_is_told_the_known_ones(deployment: Deployment) -> None:
    deployment.connections.add("acme", "journal", {})
    with pytest.raises(ValueError, match=r"there is no setting colour; there are crm, .*evrotel_token"):
        deployment.connections.set("acme", {"colour": "red"})


def test_settings_are_changed_one_by_one_and_unset_by_nothing(deployment: Deployment) -> None:
    deployment.connections.add("acme", "journal", {"evrotel_token": "12345678", "evrotel_billcode": "20558"})
    changed = deployment.connections.set("acme", {"crm": "bitrix24", "phone_region": "pl"})
    assert (changed.crm, changed.get("phone_region"), changed.get("evrotel_billcode")) == ("bitrix24", "PL", "20558")
    assert deployment.connections.set("acme", {"evrotel_billcode": ""}).get("evrotel_billcode") == ""
    assert deployment.connections.get("acme").get("evrotel_token") == "12345678"


def test_a_token_that_is_taken_away_is_made_anew(deployment: Deployment) -> None:
    """A receiver never stands open."""
    deployment.connections.add("acme", "journal", {"evrotel_token": "12345678"})
    token = deployment.connections.set("acme", {"evrotel_token": ""}).get("evrotel_token")
    assert len(token) >= 32


def test_secrets_do_not_lie_in_the_database_as_they_are(deployment: Deployment) -> None:
    secret = [key for key, field in ALL_FIELDS.items() if field.secret]
    assert {"evrotel_token", "bitrix24_client_secret"} <= set(secret)
    signing = {"webhook_secret": "whsec_canarycanarycanarycanarycanaryca"}
    deployment.connections.add("acme", "bitrix24", dict.fromkeys(secret, "canary-canary-canary-canary") | signing)
    with deployment.database.read() as db:
        row = db.execute(text("SELECT * FROM connections")).one()
    assert "canary" not in str(tuple(row))
    assert "canary" not in repr(deployment.connections.get("acme"))


def test_a_deployment_with_another_key_says_so(make_deployment: MakeDeployment) -> None:
    make_deployment().connections.add("acme", "journal", {})
    with pytest.raises(WrongKey):
        make_deployment(secret_keys=("another-key-of-enough-length",)).connections.get("acme")
    rotated = make_deployment(secret_keys=("another-key-of-enough-length", "test-key-of-enough-length"))
    assert rotated.connections.get("acme").name == "acme"


def test_another_process_sees_a_change_within_a_second(make_deployment: MakeDeployment) -> None:
    ours, theirs = make_deployment(), make_deployment()
    with pytest.raises(NoSuchConnection):
        theirs.connections.get("acme")
    ours.connections.add("acme", "journal", {"evrotel_billcode": "1"})
    _soon(lambda: _billcode(theirs) == "1")
    ours.connections.set("acme", {"evrotel_billcode": "2"})
    assert ours.connections.get("acme").get("evrotel_billcode") == "2"
    _soon(lambda: _billcode(theirs) == "2")
    ours.connections.pause(ours.connections.get("acme").id, by="admin", reason="holidays")
    _soon(lambda: theirs.connections.get("acme").paused)


def test_the_adapter_is_made_anew_when_settings_change(make_deployment: MakeDeployment) -> None:
    deployment = make_deployment()
    first = deployment.adapter(deployment.connections.add("acme", "journal", {}))
    assert deployment.adapter(deployment.connections.get("acme")) is first
    changed = deployment.connections.set("acme", {"crm": "bitrix24", "bitrix24_client_id": "local.123456"})
    second = deployment.adapter(changed)
    assert second is not first
    assert second.account.settings["bitrix24_client_id"] == "local.123456"


def test_a_pause_keeps_its_first_reason_and_resume_ends_every_wait(deployment: Deployment) -> None:
    connection_id = deployment.connections.add("acme", "bitrix24", {}).id
    later = now() + timedelta(days=1)
    with deployment.database.write() as db:
        db.execute(
            insert(Call).values(
                id="c" * 32, connection_id=connection_id, direction="incoming", started_at=now(), source="event",
                state=CallState.ENDED, awaits_start=False, created_at=now(), updated_at=now(),
            )
        )  # fmt: skip
        db.execute(
            insert(Delivery).values(
                connection_id=connection_id, call_id="c" * 32, kind=DeliveryKind.FINISH, step=2, progress={},
                state=DeliveryState.PENDING, due_at=later, attempts=3, created_at=now(),
            )
        )  # fmt: skip
        db.execute(insert(Lane).values(connection_id=connection_id, probes=5, trouble="503", next_probe_at=later))
    deployment.connections.pause(connection_id, by="connector", reason="the tokens were revoked")
    deployment.connections.pause(connection_id, by="connector", reason="something later")
    paused = deployment.connections.get("acme")
    assert (paused.paused_by, paused.paused_reason, paused.trouble) == ("connector", "the tokens were revoked", "503")
    deployment.connections.resume(connection_id)
    resumed = deployment.connections.get("acme")
    assert (resumed.paused, resumed.trouble, resumed.probe_at) == (False, None, None)
    with deployment.database.read() as db:
        assert db.execute(select(Delivery.due_at)).scalar_one() <= now()


def test_another_crm_is_not_told_what_was_meant_for_the_former_one(deployment: Deployment) -> None:
    """Of what it does not hear nothing is left to fail for good; a call that it does hear goes to it, as a new one."""
    connection_id = deployment.connections.add("acme", "bitrix24", {}).id
    kinds = {DeliveryKind.FINISH: "pending", DeliveryKind.NOTICE: "pending", DeliveryKind.RECORDING: "waiting"}
    theirs = {
        "client_number": "+380671234567",
        "crm_call_id": "externalCall.1",
        "callid": "externalCall.1",
        "crm_user_id": "7",
        "crm_notes": {"lead": 5},
    }
    with deployment.database.write() as db:
        db.execute(
            insert(Call).values(
                id="c" * 32, connection_id=connection_id, direction="incoming", started_at=now(), source="event",
                state=CallState.ENDED, awaits_start=False, created_at=now(), updated_at=now(), **theirs,
            )
        )  # fmt: skip
        for kind, state in kinds.items():
            tried = {"state": state, "progress": {"tried": 1}, "attempts": 2, "due_at": now() + timedelta(hours=9)}
            db.execute(insert(Delivery).values(delivery_row("c" * 32, connection_id, kind, now(), **tried)))
    deployment.connections.pause(connection_id, by="connector", reason="the portal is gone")
    assert not deployment.connections.set("acme", {"crm": "amocrm"}).paused
    with deployment.database.read() as db:
        call = db.execute(select(Call.callid, Call.crm_call_id, Call.crm_user_id, Call.crm_notes)).one()
    left = {row.kind: row for row in deliveries_of(deployment)}
    assert {kind: row.state for kind, row in left.items()} == {
        "finish": "pending", "notice": "expired", "recording": "expired",
    }  # fmt: skip
    finish = left["finish"]
    assert (finish.progress, finish.attempts, finish.due_at <= now()) == ({}, 0, True)
    assert tuple(call) == ("externalCall.1", None, None, {})


def test_a_recording_follows_the_call_to_no_other_crm_and_neither_does_a_task(deployment: Deployment) -> None:
    """What became of them in the former CRM means nothing in its successor, but for who reached the client."""
    connection_id = deployment.connections.add("acme", "bitrix24", {}).id
    call: dict[str, Any] = {
        "direction": "incoming",
        "source": "event",
        "state": CallState.ENDED,
        "awaits_start": False,
    }
    rows: dict[DeliveryKind, dict[str, Any]] = {
        DeliveryKind.FINISH: {"state": DeliveryState.DONE},
        DeliveryKind.RECORDING: {"state": DeliveryState.WAITING},
        DeliveryKind.TASK: {"state": DeliveryState.DONE, "progress": {"task_id": "88"}},
        DeliveryKind.RETURNED: {"progress": {"reached_by": "d" * 32, "tried": 1}},
    }
    with deployment.database.write() as db:
        times = {"started_at": now(), "created_at": now(), "updated_at": now()}
        db.execute(insert(Call).values(id="c" * 32, connection_id=connection_id, **call, **times))
        for kind, others in rows.items():
            db.execute(insert(Delivery).values(delivery_row("c" * 32, connection_id, kind, now(), **others)))
    deployment.connections.set("acme", {"crm": "bitrix24", "bitrix24_client_id": "local.12345"})
    assert {row.state for row in deliveries_of(deployment)} == {"done", "waiting", "pending"}
    deployment.connections.set("acme", {"crm": "onec"})
    deployment.connections.set("acme", {"crm": "bitrix24"})
    left = {row.kind: row for row in deliveries_of(deployment)}
    assert {kind: row.state for kind, row in left.items()} == {
        "finish": "done", "recording": "expired", "task": "done", "returned": "expired",
    }  # fmt: skip
    assert left["task"].progress == {}
    assert left["returned"].progress == {"reached_by": "d" * 32, "tried": 1}


def test_calls_that_a_successor_does_not_hear_and_late_cards_are_left(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """Of withheld numbers own CRMs hear, and of starts however late."""
    connection_id = deployment.connections.add("acme", "webhook", {}).id
    call: dict[str, Any] = {"direction": "incoming", "source": "event", "awaits_start": False, "state": CallState.OPEN}
    with deployment.database.write() as db:
        for call_id, number in (("c" * 32, None), ("d" * 32, "+380671234567")):
            times = {"started_at": now(), "created_at": now(), "updated_at": now()}
            row = {"id": call_id, "client_number": number, "connection_id": connection_id, **call, **times}
            db.execute(insert(Call).values(row))
            db.execute(insert(Delivery).values(delivery_row(call_id, connection_id, DeliveryKind.START, now())))
    deployment.connections.set("acme", {"crm": "bitrix24"})
    with deployment.database.read() as db:
        rows = db.execute(select(Delivery.state, Delivery.expires_at <= now()).order_by(Delivery.call_id)).all()
    assert [tuple(row) for row in rows] == [("expired", None), ("pending", True)]
    assert "1 deliveries to the former CRM stay in the journal" in caplog.text


def test_a_change_of_the_crm_that_meets_a_worker_is_seen_through(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.connections.add("acme", "webhook", {})
    tried: list[frozenset[Capability]] = []

    def hand_over(_: object, __: int, capabilities: frozenset[Capability], ___: object) -> None:
        tried.append(capabilities)
        if len(tried) == 1:
            raise OperationalError("", None, Deadlocked())

    monkeypatch.setattr("connector.connections.store.hand_over", hand_over)
    assert deployment.connections.set("acme", {"crm": "onec"}).crm == "onec"
    assert tried == [DESCRIPTIONS["onec"].capabilities] * 2


class Deadlocked(Exception):
    sqlstate = "40P01"


def deliveries_of(deployment: Deployment) -> list[Any]:
    with deployment.database.read() as db:
        return list(
            db.execute(select(Delivery.kind, Delivery.state, Delivery.progress, Delivery.attempts, Delivery.due_at))
        )


def test_a_removed_connection_takes_all_along_and_leaves_the_others(deployment: Deployment) -> None:
    gone, stays = (deployment.connections.add(name, "journal", {}) for name in ("gone", "stays"))
    with deployment.database.write() as db:
        for connection in (gone, stays):
            db.execute(
                text("INSERT INTO customers (connection_id, number, name) VALUES (:id, '+380987858227', 'Olha')"),
                {"id": connection.id},
            )
    deployment.connections.remove(gone.id)
    with pytest.raises(NoSuchConnection):
        deployment.connections.get("gone")
    with deployment.database.read() as db:
        assert db.execute(text("SELECT connection_id FROM customers")).scalars().all() == [stays.id]
    assert [connection.name for connection in deployment.connections.all()] == ["stays"]


def test_a_command_without_a_name_means_the_only_connection(deployment: Deployment) -> None:
    assert deployment.connections.only_name() == "default"
    deployment.connections.add("acme", "journal", {})
    assert deployment.connections.only_name() == "acme"
    deployment.connections.add("bravo", "journal", {})
    assert deployment.connections.only_name() == "default"


def test_every_field_of_every_crm_takes_its_own_default() -> None:
    fields = [*ALL_FIELDS.values(), *(field for description in DESCRIPTIONS.values() for field in description.fields)]
    assert [field.key for field in fields if field.default and field.clean(field.default) != field.default] == []
    assert [field.key for field in fields if not field.label] == []


def _billcode(deployment: Deployment) -> str | None:
    try:
        return deployment.connections.get("acme").get("evrotel_billcode")
    except NoSuchConnection:
        return None


def _soon(holds: Callable[[], bool]) -> None:
    """Fails where `holds` does not become true in the time that a change may take."""
    deadline = time.monotonic() + FRESH_SECONDS + 0.5
    while not holds():
        assert time.monotonic() < deadline, "the change was not seen"
        time.sleep(0.05)
