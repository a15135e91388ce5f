"""Recordings in a folder and in S3-compatible storage: the same keys and answers, also when the storage is away."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
import soundfile
from moto.server import ThreadedMotoServer

from connector.db import now
from connector.delivery.purge import purge
from connector.deployment import Deployment
from connector.models import RecordingState
from connector.recordings import making
from connector.recordings.forgetting import purge_number
from connector.recordings.s3 import S3
from connector.recordings.stores import Folder, Store, StoreAway, open_store
from connector.recordings.sweep import sweep
from migrations import schema
from tests.conftest import make_settings
from tests.connector.recordings.doors import client_of, fetch_due, get
from tests.connector.recordings.rows import RECFILE, add_connection, add_recording, path_of, recording_of
from tests.connector.recordings.test_mp3 import SECONDS, wav
from tests.emulators.evrotel import Recordings

CALLS = "calls"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """The address of an S3 server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """RECORDINGS_URL of an empty bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test-key-of-the-storage")
    client = boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1")
    client.create_bucket(Bucket=CALLS)
    yield f"s3://{CALLS}/shop?endpoint={s3_url}"
    for item in client.list_objects_v2(Bucket=CALLS).get("Contents", ()):
        client.delete_object(Bucket=CALLS, Key=item["Key"])
    client.delete_bucket(Bucket=CALLS)
    client.close()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = request.getfixturevalue("bucket") if request.param == "s3" else (tmp_path / "elsewhere").as_uri()
    store = open_store(make_settings("sqlite:///none", tmp_path, recordings_url=url))
    assert isinstance(store, S3 if request.param == "s3" else Folder)
    return store


def kept(store: Store, key: str, content: bytes) -> None:
    store.incoming.mkdir(parents=True, exist_ok=True)
    made = store.incoming / "made"
    made.write_bytes(content)
    store.keep(key, made, "audio/wav")
    assert not made.exists()


def test_what_is_kept_is_read_in_parts_replaced_and_deleted(store: Store) -> None:
    key = "recordings/1/ab/0199ab.wav"
    store.check()
    assert list(store.stored()) == []
    kept(store, key, b"former")
    kept(store, key, bytes(range(200)))
    with store.open(key) as file:
        assert file.read() == bytes(range(200))
    with store.open(key, 10, 20) as file:
        assert file.read(10) == bytes(range(10, 20))
    [found] = store.stored()
    assert found.key == key
    assert abs(now() - found.at) < timedelta(minutes=1)
    store.delete(key)
    store.delete(key)
    with pytest.raises(FileNotFoundError):
        store.open(key)


def test_secrets_are_in_no_text(store: Store) -> None:
    assert "test-key" not in f"{store.title} {store!r}"


@pytest.fixture
def deployed(tmp_path: Path, bucket: str) -> Iterator[Deployment]:
    """A deployment that keeps recordings in the bucket."""

    here = Deployment(make_settings(f"sqlite:///{tmp_path / 'connector.db'}", tmp_path, recordings_url=bucket))
    schema.upgrade(here.database.engine)
    yield here
    here.database.dispose()


def add_kept(deployed: Deployment, host: Recordings) -> str:
    host.add(RECFILE, wav())
    connection = add_connection(deployed, evrotel_recordings_url=host.url)
    call_id = add_recording(deployed, connection)
    fetch_due(deployed)
    return call_id


def test_players_are_served_from_the_bucket(deployed: Deployment, host: Recordings) -> None:
    call_id = add_kept(deployed, host)
    client = client_of(deployed)
    link = path_of(deployed, call_id)
    host.go_down()
    assert get(client, link).data == wav()
    part = get(client, link, headers={"Range": "bytes=-100"})
    assert (part.status_code, part.data) == (206, wav()[-100:])
    assert get(client, link, method="HEAD").headers["Content-Length"] == str(len(wav()))
    making.order_mp3(deployed, call_id)
    fetch_due(deployed)
    as_mp3 = get(client, link.replace(".wav", ".mp3"))
    assert soundfile.info(io.BytesIO(as_mp3.data)).duration == pytest.approx(SECONDS, abs=0.1)
    assert {each.key.rpartition(".")[2] for each in deployed.store.stored()} == {"wav", "mp3"}
    assert not [path for path in deployed.store.incoming.rglob("*") if path.is_file()]

    assert purge_number(deployed, "+380987858227").left == ()
    assert list(deployed.store.stored()) == []
    assert get(client, link).status_code == 404


def test_old_calls_and_strays_leave_the_bucket(deployed: Deployment, host: Recordings) -> None:
    add_kept(deployed, host)
    kept(deployed.store, "recordings/9/cd/stray.wav", b"RIFF")
    assert sweep(deployed) == 0  # it may belong to a fetch that is not settled yet
    deployed.settings = dataclasses.replace(deployed.settings, retention_days=-1)
    assert purge(deployed) == 1
    assert [each.key for each in deployed.store.stored()] == ["recordings/9/cd/stray.wav"]


def test_a_storage_that_is_away_costs_no_recording(deployed: Deployment, host: Recordings, tmp_path: Path) -> None:
    call_id = add_kept(deployed, host)
    link = path_of(deployed, call_id)
    away = open_store(
        dataclasses.replace(deployed.settings, recordings_url=f"s3://{CALLS}?endpoint=http://127.0.0.1:9")
    )
    there, deployed.store = deployed.store, away
    with pytest.raises(StoreAway):
        away.check()
    assert get(client_of(deployed), link).status_code == 503
    late = add_recording(deployed, deployed.connections.get("default"))
    fetch_due(deployed)
    recording = recording_of(deployed, late)
    assert (recording.state, recording.attempts) == (RecordingState.PENDING, 1)
    assert "StoreAway" in recording.error
    deployed.settings = dataclasses.replace(deployed.settings, retention_days=-1)
    assert purge(deployed) == 0  # its call stays until the file can be deleted

    forgotten = purge_number(deployed, "+380987858227")
    assert (forgotten.count, len(forgotten.left)) == (2, 1)
    assert get(client_of(deployed), link).status_code == 404  # at once, whatever becomes of the file
    deployed.store = there
    assert purge_number(deployed, "+380987858227").left == ()
    assert list(there.stored()) == []
