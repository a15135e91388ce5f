"""Recordings that are asked from Evrotel each time somebody listens: nothing of them stays here."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from flask.testing import FlaskClient

from connector.deployment import Deployment
from connector.recordings import proxy
from connector.recordings.content import read_recording
from connector.recordings.links import call_of
from tests.conftest import empty_database
from tests.connector.recordings.doors import fetch_due, get
from tests.connector.recordings.rows import RECFILE, add_connection, add_recording, path_of, recording_of
from tests.connector.recordings.test_mp3 import SECONDS, wav
from tests.emulators.evrotel import Recordings


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """HTTP is the same on both engines."""
    return empty_database(request, tmp_path)


@pytest.fixture(params=["keeps ranges", "knows none"])
def host(request: pytest.FixtureRequest) -> Iterator[Recordings]:
    with Recordings() as recordings:
        recordings.knows_ranges = request.param == "keeps ranges"
        yield recordings


@pytest.fixture
def content(host: Recordings) -> bytes:
    return host.add(RECFILE, wav())


@pytest.fixture
def path(deployment: Deployment, host: Recordings, content: bytes) -> Iterator[str]:
    """The link of a recording that was seen to be there."""
    connection = add_connection(deployment, recordings_mode="proxy", evrotel_recordings_url=host.url)
    call_id = add_recording(deployment, connection)
    fetch_due(deployment)
    recording = recording_of(deployment, call_id)
    assert (recording.state, recording.path, recording.milliseconds) == ("ready", None, SECONDS * 1000)
    assert recording.waveform
    yield path_of(deployment, call_id)
    kept = [each for each in (deployment.settings.instance / "recordings").rglob("*") if each.is_file()]
    assert kept == []


def test_it_is_asked_for_each_time_and_parts_as_parts(
    client: FlaskClient, path: str, host: Recordings, content: bytes
) -> None:
    asked = host.request_count()
    whole = get(client, path)
    assert (whole.status_code, whole.data) == (200, content)
    for wanted, part in (
        ("bytes=100-199", content[100:200]),
        ("bytes=-50", content[-50:]),
        ("bytes=0-9", content[:10]),
    ):
        answer = get(client, path, headers={"Range": wanted})
        assert (answer.status_code, answer.data) == (206, part)
        assert answer.headers["Content-Range"].endswith(f"/{len(content)}")
    assert host.request_count() == asked + 4
    assert host.requests[-1].headers["Range"] == "bytes=0-9"
    assert get(client, path, headers={"Range": "bytes=9999999-"}).status_code == 416
    assert get(client, path, method="HEAD").headers["Content-Length"] == str(len(content))
    assert host.request_count() == asked + 4


def test_what_evrotel_has_lost_is_not_found_and_what_it_does_not_give_now_comes_later(
    client: FlaskClient, path: str, host: Recordings, content: bytes
) -> None:
    host.error(RECFILE, 500)
    assert get(client, path).status_code == 503
    host.html(RECFILE)
    assert get(client, path).status_code == 503
    host.go_down()
    assert get(client, path).status_code == 503
    host.come_up()
    host.remove(RECFILE)
    assert get(client, path).status_code == 404


def test_what_evrotel_has_now_counts_and_no_part_of_it_meets_the_former(
    client: FlaskClient, path: str, host: Recordings, content: bytes
) -> None:
    former = get(client, path).headers["ETag"]
    changed = host.add(RECFILE, wav(seconds=3.0))
    part = get(client, path, headers={"Range": "bytes=100-199", "If-Range": former})
    assert (part.status_code, part.data) == (200, changed)
    assert part.headers["ETag"] != former
    assert get(client, path, headers={"Range": "bytes=-50"}).data == changed[-50:]


def test_only_so_many_wait_for_evrotel(deployment: Deployment, client: FlaskClient, path: str) -> None:
    entered = 0
    while deployment.proxied.enter():
        entered += 1
    assert 0 < entered < deployment.settings.web_threads
    assert get(client, path).status_code == 503
    deployment.proxied.leave()
    for _ in range(3):  # each gives its place back
        assert get(client, path).status_code == 200


def test_a_crm_that_cannot_reach_us_gets_the_content(deployment: Deployment, path: str, content: bytes) -> None:
    found = call_of(deployment, path.removeprefix("/recordings/").removesuffix(".wav"))
    assert read_recording(deployment, found.call_id) == content


def test_its_mp3_is_made_for_who_asks_and_not_kept(client: FlaskClient, path: str) -> None:
    link = path.replace(".wav", ".mp3")
    answer = get(client, link)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/mpeg")
    assert soundfile.info(io.BytesIO(answer.data)).duration == pytest.approx(SECONDS, abs=0.1)
    part = get(client, link, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.data, part.headers["ETag"]) == (206, answer.data[100:200], answer.headers["ETag"])
    assert get(client, link, method="HEAD").headers["Content-Length"] == str(len(answer.data))


def test_a_host_that_falls_silent_in_the_middle_ends_the_answer(
    client: FlaskClient, path: str, host: Recordings, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "LISTENING_SECONDS", 0.5)
    host.drip(RECFILE, 0.05, content)
    with pytest.raises(OSError, match="broke off"):
        get(client, path)


def test_gsm_is_made_into_mp3_each_time(deployment: Deployment, client: FlaskClient, host: Recordings) -> None:
    host.add(RECFILE, wav("GSM610"))
    connection = add_connection(deployment, recordings_mode="proxy", evrotel_recordings_url=host.url)
    call_id = add_recording(deployment, connection)
    fetch_due(deployment)
    recording = recording_of(deployment, call_id)
    assert (recording.as_mp3, recording.mp3_path, recording.path) == (True, None, None)
    link = path_of(deployment, call_id)
    assert link.endswith(".mp3")
    assert soundfile.info(io.BytesIO(get(client, link).data)).duration == pytest.approx(SECONDS, abs=0.1)
    assert get(client, link.replace(".mp3", ".wav")).data == wav("GSM610")
