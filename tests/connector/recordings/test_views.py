"""What players and CRMs get at a recording's link."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from connector.db import now
from connector.deployment import Deployment
from connector.models import Call
from connector.recordings import links
from connector.recordings.forgetting import revoke
from connector.recordings.guesses import MOST_A_MINUTE
from connector.recordings.serving import masked
from tests.conftest import MakeDeployment, empty_database
from tests.connector.recordings.doors import client_of, fetch_due, get
from tests.connector.recordings.rows import (
    RECFILE,
    add_call,
    add_connection,
    add_recording,
    change,
    path_of,
    recording_of,
    url_of,
)
from tests.emulators.evrotel import Recordings, wav


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """HTTP is the same on both engines."""
    return empty_database(request, tmp_path)


@pytest.fixture
def call_id(deployment: Deployment, host: Recordings) -> str:
    """A call whose recording is there."""
    host.add(RECFILE)
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    return call_id


def test_a_recording_is_served_whole(deployment: Deployment, client: FlaskClient, call_id: str) -> None:
    answer = get(client, path_of(deployment, call_id))
    assert (answer.status_code, answer.data) == (200, wav())
    assert answer.headers["Content-Type"] == "audio/wav"
    assert int(answer.headers["Content-Length"]) == len(wav())
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers
    again = get(client, path_of(deployment, call_id), headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_head_tells_the_same_without_the_body(deployment: Deployment, client: FlaskClient, call_id: str) -> None:
    answer = get(client, path_of(deployment, call_id), method="HEAD", headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.data) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(wav())


@pytest.fixture
def path(deployment: Deployment, call_id: str) -> str:
    """The link of a recording that is there."""
    return path_of(deployment, call_id)


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-99", 206, slice(0, 100)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-50", 206, slice(-50, None)),
        ("bytes=0-9999999", 206, slice(0, None)),
        ("bytes=-9999999", 206, slice(0, None)),
        ("bytes=0-1,5-6", 200, slice(0, None)),
        ("bytes=x", 200, slice(0, None)),
        ("lines=1-2", 200, slice(0, None)),
    ],
)
def test_parts_are_served(client: FlaskClient, path: str, wanted: str, status: int, part: slice) -> None:
    answer = get(client, path, headers={"Range": wanted})
    assert answer.status_code == status
    assert answer.data == wav()[part]
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    if status == 206:
        assert answer.headers["Content-Range"].endswith(f"/{len(wav())}")


def test_a_part_beyond_the_end_is_416(deployment: Deployment, client: FlaskClient, call_id: str) -> None:
    answer = get(client, path_of(deployment, call_id), headers={"Range": "bytes=9999999-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(wav())}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_unknown_altered_and_revoked_links_look_alike(
    deployment: Deployment, client: FlaskClient, call_id: str
) -> None:
    path = path_of(deployment, call_id)
    name = path.removesuffix(".wav")
    altered = name[:-1] + ("A" if name[-1] != "A" else "B")
    strangers = [f"{altered}.wav", f"{altered}.mp3", f"{name}x.wav", "/recordings/x.wav", "/recordings/дзвінок.wav"]
    answers = [get(client, stranger) for stranger in strangers]
    assert revoke(deployment.database, [call_id]) == 1
    assert revoke(deployment.database, [call_id]) == 0
    answers.append(get(client, path))
    assert {(answer.status_code, answer.data) for answer in answers} == {(404, b"Not found")}
    assert url_of(deployment, call_id) is None


def test_a_recording_that_is_still_to_come_is_503(deployment: Deployment, client: FlaskClient) -> None:
    call_id = add_recording(deployment, add_connection(deployment))
    answer = get(client, path_of(deployment, call_id))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    path = path_of(deployment, call_id)
    change(deployment, call_id, state="missing")
    assert url_of(deployment, call_id) is None
    assert get(client, path).status_code == 404


def test_a_link_given_before_the_file_was_seen_stays_good(
    deployment: Deployment, client: FlaskClient, host: Recordings
) -> None:
    host.add(RECFILE, b"ID3\x04" + bytes(100))
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    early = path_of(deployment, call_id)
    fetch_due(deployment)
    later = path_of(deployment, call_id)
    assert (early[-4:], later[-4:]) == (".wav", ".mp3")
    for path in (early, later):
        assert get(client, path).headers["Content-Type"] == "audio/mpeg"


def test_a_lost_disk_is_mended_on_demand(
    deployment: Deployment, client: FlaskClient, call_id: str, host: Recordings
) -> None:
    path = deployment.settings.instance / recording_of(deployment, call_id).path
    path.unlink()
    assert get(client, path_of(deployment, call_id)).data == wav()
    path.unlink()
    host.go_down()
    assert get(client, path_of(deployment, call_id)).status_code == 503


def test_links_outlive_a_rotation_of_keys(make_deployment: MakeDeployment, host: Recordings) -> None:
    before = make_deployment()
    host.add(RECFILE)
    call_id = add_recording(before, add_connection(before, evrotel_recordings_url=host.url))
    fetch_due(before)
    path = path_of(before, call_id)
    rotated = make_deployment(secret_keys=("another-key-of-enough-length", "test-key-of-enough-length"))
    stranger = make_deployment(secret_keys=("another-key-of-enough-length",))
    assert get(client_of(rotated), path).status_code == 200
    assert path_of(rotated, call_id) != path
    assert links.call_of(stranger, path.removeprefix("/recordings/").removesuffix(".wav")) is None


def test_links_are_full_addresses_and_do_not_guess(deployment: Deployment) -> None:
    connection = add_connection(deployment)
    one, two = add_recording(deployment, connection), add_recording(deployment, connection)
    deployment.settings = dataclasses.replace(deployment.settings, public_url="https://connector.example")
    url = url_of(deployment, one)
    assert url is not None
    assert url.startswith("https://connector.example/recordings/")
    assert one not in url
    assert url != url_of(deployment, two)
    assert url_of(deployment, add_call(deployment, connection)) is None
    assert url_of(deployment, "unknown") is None
    change(deployment, one, revoked_at=now())
    assert url_of(deployment, one) is None


def test_a_part_of_an_older_recording_is_the_whole_new_one(client: FlaskClient, path: str) -> None:
    """If-Range: what a player has kept of another file must not be glued to this one."""
    tag = get(client, path).headers["ETag"]
    assert tag.startswith('"')  # strong: parts may be put together
    part = {"Range": "bytes=10-19"}
    same = get(client, path, headers=part | {"If-Range": tag})
    assert (same.status_code, same.data) == (206, wav()[10:20])
    date = get(client, path).headers["Last-Modified"]
    assert get(client, path, headers=part | {"If-Range": date}).status_code == 206
    others = ('"another"', f"W/{tag}", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2065 07:28:00 GMT")
    for other in others:
        answer = get(client, path, headers=part | {"If-Range": other})
        assert (answer.status_code, answer.data) == (200, wav()), other
    assert get(client, path, headers=part | {"If-None-Match": tag}).status_code == 304
    failed = get(client, path, headers={"If-Match": '"another"'})
    assert (failed.status_code, failed.headers["Content-Length"]) == (412, "0")


@pytest.mark.parametrize(("mask", "number"), [(None, "+380..8227"), ("no", "+380987858227")])
def test_a_file_is_named_by_its_time_and_number(
    deployment: Deployment, client: FlaskClient, call_id: str, mask: str | None, number: str
) -> None:
    with deployment.database.write() as db:
        moment = datetime(2026, 11, 23, 12, 5, 9, tzinfo=UTC)
        db.execute(update(Call).where(Call.id == call_id).values(started_at=moment))
    if mask:
        deployment.connections.set("default", {"recordings_mask_numbers": mask})
    answer = get(client, path_of(deployment, call_id))
    assert answer.headers["Content-Disposition"] == f'inline; filename="2026-11-23 14-05 {number}.wav"'


@pytest.mark.parametrize(
    ("number", "shown"),
    [("+380987858227", "+380..8227"), ("+14155550123", "+1..0123"), ("101", "101"), ("", ""), ("12345678", "..5678")],
)
def test_a_masked_number_keeps_country_and_last_digits(number: str, shown: str) -> None:
    assert masked(number) == shown


def test_scripts_of_players_may_ask_for_parts(client: FlaskClient, path: str) -> None:
    asked = {"Origin": "https://crm.example", "Access-Control-Request-Method": "GET"}
    answer = get(client, path, method="OPTIONS", headers=asked | {"Access-Control-Request-Headers": "range"})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Range" in answer.headers["Access-Control-Allow-Headers"]
    assert "Content-Range" in get(client, path).headers["Access-Control-Expose-Headers"]


def test_who_guesses_has_to_wait_and_good_links_work(client: FlaskClient, path: str) -> None:
    wrong = [get(client, f"/recordings/{number:075}.mp3") for number in range(MOST_A_MINUTE + 3)]
    assert [answer.status_code for answer in wrong] == [404] * MOST_A_MINUTE + [429] * 3
    assert 0 < int(wrong[-1].headers["Retry-After"]) <= 60
    assert get(client, path).status_code == 200
    elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    assert get(client, "/recordings/x.mp3", **elsewhere).status_code == 404
    neighbours = [{"environ_base": {"REMOTE_ADDR": f"2001:db8::{number:x}"}} for number in range(MOST_A_MINUTE + 1)]
    assert get(client, "/recordings/x.mp3", **neighbours[0]).status_code == 404
    for neighbour in neighbours[1:]:
        last = get(client, "/recordings/x.mp3", **neighbour)
    assert last.status_code == 429


def test_a_connection_may_pass_on_evrotel_s_own_address(deployment: Deployment) -> None:
    connection = add_connection(deployment, recordings_mode="link", evrotel_recordings_url="https://m01.example/rec/")
    assert url_of(deployment, add_recording(deployment, connection)) == f"https://m01.example/rec{RECFILE}"
    assert url_of(deployment, add_recording(deployment, connection, "https://evil.example/a.wav")) is None
    assert url_of(deployment, add_recording(deployment, connection, revoked_at=now())) is None


def test_a_database_that_is_away_is_503(client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a CRM asks for again; of a 500 it would think that the recording is broken."""

    def away(*_: object) -> None:
        raise OperationalError("SELECT", None, Exception("gone"))

    monkeypatch.setattr("connector.recordings.links.call_of", away)
    answer = get(client, path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
