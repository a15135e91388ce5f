"""What players and CRMs get at a recording's link."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from connector.db import now
from connector.deployment import EXTENSION, Deployment
from connector.recordings import jobs, links, views
from tests.conftest import MakeDeployment
from tests.connector.recordings.rows import RECFILE, add_call, add_connection, add_recording, change, recording_of
from tests.emulators.evrotel import Recordings, wav


@pytest.fixture
def host() -> Iterator[Recordings]:
    with Recordings() as recordings:
        recordings.add(RECFILE)
        yield recordings


def client_of(deployment: Deployment) -> FlaskClient:
    app = Flask("test")
    app.extensions[EXTENSION] = deployment
    app.register_blueprint(views.blueprint)
    return app.test_client()


@pytest.fixture
def client(deployment: Deployment) -> FlaskClient:
    return client_of(deployment)


@pytest.fixture
def call_id(deployment: Deployment, host: Recordings) -> str:
    """A call whose recording is there."""
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    jobs.work_recordings(deployment, "worker", lambda job: job())
    return call_id


def get(client: FlaskClient, path: str, **options: Any) -> TestResponse:
    """The answer, read to its end and closed as a server does."""
    return client.open(path, buffered=True, **options)


def path_of(deployment: Deployment, call_id: str) -> str:
    path = links.link_path(deployment, call_id)
    assert path is not None
    return path


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
    strangers = [f"{altered}.wav", f"{name}.mp3", f"{name}x.wav", "/recordings/x.wav", "/recordings/дзвінок.wav"]
    answers = [get(client, stranger) for stranger in strangers]
    assert links.revoke(deployment.database, [call_id]) == 1
    assert links.revoke(deployment.database, [call_id]) == 0
    answers.append(get(client, path))
    assert {(answer.status_code, answer.data) for answer in answers} == {(404, b"Not found")}
    assert links.link_path(deployment, call_id) is None


def test_a_recording_that_is_still_to_come_is_503(deployment: Deployment, client: FlaskClient) -> None:
    call_id = add_recording(deployment, add_connection(deployment))
    answer = get(client, path_of(deployment, call_id))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    change(deployment, call_id, state="missing")
    assert links.link_path(deployment, call_id) is None


def test_a_link_given_before_the_file_was_seen_stays_good(
    deployment: Deployment, client: FlaskClient, host: Recordings
) -> None:
    host.add(RECFILE, b"ID3\x04" + bytes(100))
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    early = path_of(deployment, call_id)
    jobs.work_recordings(deployment, "worker", lambda job: job())
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
    call_id = add_recording(before, add_connection(before, evrotel_recordings_url=host.url))
    jobs.work_recordings(before, "worker", lambda job: job())
    path = path_of(before, call_id)
    rotated = make_deployment(secret_keys=("another-key-of-enough-length", "test-key-of-enough-length"))
    stranger = make_deployment(secret_keys=("another-key-of-enough-length",))
    assert get(client_of(rotated), path).status_code == 200
    assert path_of(rotated, call_id) != path
    assert links.call_of(stranger, path.removeprefix("/recordings/").removesuffix(".wav")) is None


def test_links_are_full_addresses_and_do_not_guess(deployment: Deployment) -> None:
    connection = add_connection(deployment)
    one, two = add_recording(deployment, connection), add_recording(deployment, connection)
    public = dataclasses.replace(deployment.settings, public_url="https://connector.example")
    deployment.settings = public
    url = links.link_url(deployment, one)
    assert url is not None
    assert url.startswith("https://connector.example/recordings/")
    assert one not in url
    assert url != links.link_url(deployment, two)
    assert links.link_url(deployment, add_call(deployment, connection)) is None
    assert links.link_url(deployment, "unknown") is None
    change(deployment, one, revoked_at=now())
    assert links.link_url(deployment, one) is None


def test_a_database_that_is_away_is_503(client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a CRM asks for again; of a 500 it would think that the recording is broken."""

    def away(*_: object) -> None:
        raise OperationalError("SELECT", None, Exception("gone"))

    monkeypatch.setattr("connector.recordings.links.call_of", away)
    answer = get(client, path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
