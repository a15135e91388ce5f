"""`connector events`, `deliveries` and `recordings` on what a receiver really kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from connector.app import create_app
from connector.deployment import Deployment
from connector.models import Call, Delivery, DeliveryState, InboundEvent, Recording, RecordingState
from tests.connector.commands.conftest import Console

TOKEN = "G7bng65jYk8GF294"
START = {
    "callstatus": "start",
    "calldate": "2018-04-01 00:00:11",
    "numberA": "0987858227",
    "numberB": "0443334401",
    "direction": "i",
}
END = {"callstatus": "end", "billsec": "78", "disposition": "ANSWERED", "recfile": "/wav/9/1-78.wav"}


@pytest.fixture
def web(deployment: Deployment) -> Iterator[FlaskClient]:
    """A journal `acme`, and a Bitrix24 `portal` that nobody has installed the application of."""
    deployment.connections.add("acme", "journal", {"evrotel_token": TOKEN})
    deployment.connections.add("portal", "bitrix24", {"evrotel_token": TOKEN})
    with create_app(deployment.settings, deployment).test_client() as client:
        yield client


def send(web: FlaskClient, event: dict[str, str], name: str = "acme") -> str:
    return web.post(f"/evrotel/{name}/events", data=event, headers={"Authorization": TOKEN}).text


def test_events_are_listed_newest_first_one_a_line(connector: Console, web: FlaskClient) -> None:
    callid = send(web, START)
    send(web, END | {"callid": callid})
    send(web, END | {"callid": "nobody's"})
    newest, middle, oldest = connector("events", "list").stdout.splitlines()
    assert middle.split()[2:] == oldest.split()[2:] == ["acme", "accepted"]
    assert newest.split()[2:4] == ["acme", "rejected:"]
    assert int(newest.split()[0]) > int(middle.split()[0]) > int(oldest.split()[0])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(newest.split()[1])).total_seconds() < 60
    assert connector("events", "list", "--rejected").stdout.splitlines() == [newest]
    assert connector("events", "list", "--limit", "1").stdout.splitlines() == [newest]


def test_a_rejected_event_is_replayed_after_what_was_wrong_was_mended(
    connector: Console, web: FlaskClient, deployment: Deployment
) -> None:
    send(web, END | {"callid": "nobody's"})
    event_id = connector("events", "list", "--rejected").stdout.split()[0]
    again = connector("events", "replay", event_id)
    assert again.exit_code == 1
    assert again.stdout.startswith(f"{event_id}  ")
    send(web, START)
    with deployment.database.write() as db:
        db.execute(update(Call).values(callid="nobody's"))
    assert connector("events", "replay", event_id).exit_code == 0
    assert connector("events", "list", "--rejected").stdout == ""
    with deployment.database.read() as db:
        assert db.execute(select(Call.state)).scalars().all() == ["ended"]


def test_replaying_an_event_that_is_not_there(connector: Console, web: FlaskClient) -> None:
    result = connector("events", "replay", "4711")
    assert result.exit_code == 1
    assert "4711" in result.stdout


def test_failed_deliveries_are_listed_retried_and_given_up(
    connector: Console, web: FlaskClient, deployment: Deployment
) -> None:
    send(web, END | START | {"callstatus": "end"}, "portal")
    with deployment.database.write() as db:
        db.execute(update(Delivery).values(state=DeliveryState.DEAD, attempts=15, error="no\nway"))
    lines = connector("deliveries", "list").stdout.splitlines()
    finish = next(line for line in lines if "  finish  " in line)
    assert finish.split()[1] == "portal"
    assert finish.endswith("no way")
    identifiers = [line.split()[0] for line in lines]
    assert connector("deliveries", "retry", finish.split()[0]).exit_code == 0
    assert finish.split()[0] not in connector("deliveries", "list").stdout.split()
    assert connector("deliveries", "give-up", *identifiers).exit_code == 0
    assert connector("deliveries", "list").stdout == ""


@pytest.mark.parametrize("command", ["retry", "give-up"])
def test_a_delivery_that_is_not_there_did_not_work(connector: Console, command: str) -> None:
    result = connector("deliveries", command, "4711")
    assert result.exit_code == 1
    assert result.stderr == "Error: 1 of these are not failed deliveries\n"


@pytest.mark.parametrize(
    "command",
    [
        ["deliveries", "retry"],
        ["deliveries", "retry", "x"],
        ["deliveries", "give-up", "9" * 19],
        ["events", "replay"],
        ["events", "replay", "9" * 30],
    ],
)
def test_ids_are_numbers_and_at_least_one(connector: Console, command: list[str]) -> None:
    assert connector(*command).exit_code == 2


def test_revoking_a_recordings_link(connector: Console, web: FlaskClient, deployment: Deployment) -> None:
    callid = send(web, START)
    send(web, END | {"callid": callid})
    with deployment.database.read() as db:
        call_id = db.execute(select(InboundEvent.call_id).limit(1)).scalar_one()
    assert call_id is not None
    assert connector("recordings", "revoke", call_id).exit_code == 0
    assert connector("recordings", "revoke", "nobody").exit_code == 1


def test_missing_recordings_are_listed_and_looked_for_again(
    connector: Console, web: FlaskClient, deployment: Deployment
) -> None:
    callid = send(web, START)
    send(web, END | {"callid": callid, "recfile": "http://elsewhere.example/a.wav"})
    assert connector("recordings", "list", "--missing").stdout == ""
    with deployment.database.write() as db:
        db.execute(update(Recording).values(state=RecordingState.MISSING, attempts=33, error="another host"))
        call_id = db.execute(select(Recording.call_id)).scalar_one()
    for options in ([], ["--missing"], ["--connection", "acme"]):
        [line] = connector("recordings", "list", *options).stdout.splitlines()
        assert line.split(maxsplit=3)[::2] == [call_id, "missing"]
        assert line.endswith("another host")
    result = connector("recordings", "retry", call_id)
    assert (result.exit_code, result.stdout) == (0, "Looking again for 1\n")
    with deployment.database.read() as db:
        assert db.execute(select(Recording.state, Recording.attempts)).one() == ("pending", 0)
    assert connector("recordings", "retry", "nobody").exit_code == 1


def test_purging_a_persons_recordings(connector: Console, web: FlaskClient) -> None:
    callid = send(web, START)
    send(web, END | {"callid": callid})
    result = connector("recordings", "purge", "--number", "0987858227")
    assert (result.exit_code, result.stdout) == (0, "Forgot 1\n")
