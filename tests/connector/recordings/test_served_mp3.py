"""Recordings become MP3 where a CRM or a browser plays nothing else, and where somebody asks for one."""

from __future__ import annotations

import dataclasses
import io
import logging
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import soundfile
from flask.testing import FlaskClient

from connector.db import now
from connector.deployment import Deployment
from connector.recordings import files, jobs, links, making, serving
from connector.recordings.content import read_recording
from connector.recordings.forgetting import purge_number
from crm_adapters.errors import Refused, TryAgain
from crm_adapters.registry import DESCRIPTIONS
from migrations import schema
from tests.conftest import empty_database, make_settings
from tests.connector.recordings.doors import fetch_due, get
from tests.connector.recordings.rows import RECFILE, add_connection, add_recording, change, path_of, recording_of
from tests.connector.recordings.test_mp3 import SECONDS, likeness, speech, strange_wav, wav
from tests.emulators.evrotel import Recordings

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """HTTP is the same on both engines."""
    return empty_database(request, tmp_path)


@pytest.fixture
def mp3_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CRM's player takes nothing else."""
    monkeypatch.setitem(DESCRIPTIONS, "journal", dataclasses.replace(DESCRIPTIONS["journal"], needs_mp3=True))


@pytest.mark.usefixtures("mp3_only")
def test_the_link_given_at_the_call_s_end_plays_mp3_for_good(
    deployment: Deployment, client: FlaskClient, host: Recordings
) -> None:
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    link = path_of(deployment, call_id)
    assert link.endswith(".mp3")
    early = get(client, link)
    assert (early.status_code, early.headers["Retry-After"]) == (503, "30")
    original = host.add(RECFILE, wav("ALAW"))
    fetch_due(deployment)
    assert path_of(deployment, call_id) == link

    whole = get(client, link)
    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "audio/mpeg")
    assert len(whole.data) == int(whole.headers["Content-Length"]) < len(original)
    assert soundfile.info(io.BytesIO(whole.data)).duration == pytest.approx(SECONDS, abs=0.1)
    part = get(client, link, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.data) == (206, whole.data[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole.data)}"
    assert get(client, link, headers={"Range": "bytes=9999999-"}).status_code == 416
    head = get(client, link, method="HEAD")
    assert (head.data, head.headers["Content-Length"]) == (b"", str(len(whole.data)))
    other_name = get(client, link.replace(".mp3", ".wav"))
    assert (other_name.headers["Content-Type"], other_name.data) == ("audio/mpeg", whole.data)

    recording = recording_of(deployment, call_id)
    assert (recording.source_type, recording.milliseconds) == ("audio/wav", SECONDS * 1000)
    path = deployment.settings.instance / recording.path
    assert [each.name for each in path.parent.iterdir()] == [f"{call_id}.mp3"]
    path.unlink()  # as on another machine
    again = get(client, link)
    assert (again.data, again.headers["ETag"]) == (whole.data, whole.headers["ETag"])


@pytest.mark.parametrize("codec", ["GSM610", "ALAW", "ULAW"])
def test_what_not_every_browser_plays_is_served_as_mp3(
    deployment: Deployment, client: FlaskClient, host: Recordings, codec: str
) -> None:
    content = host.add(RECFILE, wav(codec))
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    given = path_of(deployment, call_id)
    fetch_due(deployment)
    link = path_of(deployment, call_id)
    assert (given[-4:], link[-4:]) == (".wav", ".mp3")
    answer = get(client, link)
    assert answer.headers["Content-Type"] == "audio/mpeg"
    heard, _ = soundfile.read(io.BytesIO(answer.data), always_2d=True)
    assert likeness(heard, speech()) > 0.95
    original = get(client, given)
    assert (original.headers["Content-Type"], original.data) == ("audio/wav", content)


def test_an_mp3_is_made_once_when_somebody_asks(deployment: Deployment, client: FlaskClient, host: Recordings) -> None:
    content = host.add(RECFILE, wav(channels=2))
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    link = path_of(deployment, call_id).replace(".wav", ".mp3")
    assert get(client, link).status_code == 503
    fetch_due(deployment)
    assert recording_of(deployment, call_id).mp3_path is None  # nobody needs it yet

    asked: list[int] = []
    players = [Thread(target=lambda: asked.append(get(client, link).status_code)) for _ in range(3)]
    for player in players:
        player.start()
    while recording_of(deployment, call_id).mp3_due_at is None:
        pass
    fetch_due(deployment)  # a worker
    for player in players:
        player.join()
    assert asked == [200] * 3
    answer = get(client, link)
    heard, _ = soundfile.read(io.BytesIO(answer.data), always_2d=True)
    assert likeness(heard, speech(channels=2)) > 0.99
    assert answer.headers["Content-Disposition"].endswith('.mp3"')
    original = get(client, link.replace(".mp3", ".wav"))
    assert (original.data, original.headers["Content-Type"]) == (content, "audio/wav")
    assert original.headers["ETag"] != answer.headers["ETag"]
    assert host.request_count() == 1
    assert get(client, link, headers={"Range": "bytes=-100"}).data == answer.data[-100:]

    folder = (deployment.settings.instance / recording_of(deployment, call_id).path).parent
    assert {each.name for each in folder.iterdir()} == {f"{call_id}.mp3", f"{call_id}.wav"}
    assert purge_number(deployment, "+380987858227").count == 1
    assert list(folder.iterdir()) == []
    assert get(client, link).status_code == 404


def test_who_asks_before_it_is_made_is_asked_to_come_again(
    deployment: Deployment, client: FlaskClient, host: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "MP3_SECONDS", 0.0)
    host.add(RECFILE, wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    link = path_of(deployment, call_id).replace(".wav", ".mp3")
    answer = get(client, link, method="HEAD")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    path = deployment.settings.instance / recording_of(deployment, call_id).path
    path.unlink()
    fetch_due(deployment)  # from Evrotel's copy, where the disk was lost
    assert get(client, link).status_code == 200
    assert path.exists()


def test_an_mp3_that_cannot_be_made_now_is_ordered_anew_by_the_next_who_asks(
    deployment: Deployment, client: FlaskClient, host: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "MP3_SECONDS", 0.0)
    host.add(RECFILE, wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    (deployment.settings.instance / recording_of(deployment, call_id).path).unlink()
    host.go_down()
    link = path_of(deployment, call_id).replace(".wav", ".mp3")
    assert get(client, link).status_code == 503
    fetch_due(deployment)
    assert recording_of(deployment, call_id).mp3_due_at is None
    host.come_up()
    assert get(client, link).status_code == 503
    fetch_due(deployment)
    assert get(client, link).status_code == 200


def test_an_mp3_of_evrotel_s_is_served_as_it_is(deployment: Deployment, client: FlaskClient, host: Recordings) -> None:
    content = host.add(RECFILE, b"ID3\x04" + bytes(100))
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    assert get(client, path_of(deployment, call_id)).data == content


@pytest.mark.usefixtures("mp3_only")
def test_what_cannot_be_decoded_is_kept_as_it_came(
    deployment: Deployment, client: FlaskClient, host: Recordings, caplog: pytest.LogCaptureFixture
) -> None:
    """At the link that the CRM has, too, with its own content type: some players may know it, and it can be saved."""
    content = host.add(RECFILE, strange_wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    given = path_of(deployment, call_id)
    with caplog.at_level(logging.WARNING, "connector.recordings"):
        fetch_due(deployment)
    warning = caplog.records[0]
    assert "can't be made into MP3" in warning.getMessage()
    assert call_id in str(warning.__dict__)
    making.order_mp3(deployment, call_id)
    fetch_due(deployment)
    later = path_of(deployment, call_id)
    assert (given[-4:], later[-4:]) == (".mp3", ".wav")
    for link in (given, later):
        answer = get(client, link)
        assert (answer.headers["Content-Type"], answer.data) == ("audio/wav", content)
    assert recording_of(deployment, call_id).milliseconds is None


def test_an_mp3_that_this_machine_has_not_is_made_here_too(
    deployment: Deployment, client: FlaskClient, host: Recordings
) -> None:
    """A dyno's disk is its own, and is lost: the worker's MP3 is not the web server's."""
    host.add(RECFILE, wav("GSM610"))
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    link = path_of(deployment, call_id)
    before = get(client, link)
    for each in list(deployment.store.stored()):
        deployment.store.delete(each.key)
    again = get(client, link)
    assert (again.status_code, again.data, again.headers["ETag"]) == (200, before.data, before.headers["ETag"])
    assert recording_of(deployment, call_id).mp3_due_at is None


def test_an_mp3_that_is_there_costs_no_write(
    deployment: Deployment, client: FlaskClient, host: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.add(RECFILE, wav("GSM610"))
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    monkeypatch.setattr(deployment.database, "write", None)
    assert get(client, path_of(deployment, call_id)).status_code == 200


def test_a_bug_in_making_an_mp3_is_not_met_for_ever(
    deployment: Deployment, host: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.add(RECFILE, wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    making.order_mp3(deployment, call_id)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(making, "to_mp3", fail)
    fetch_due(deployment)
    recording = recording_of(deployment, call_id)
    assert (recording.mp3_due_at, recording.owner, recording.state) == (None, None, "ready")


@pytest.mark.usefixtures("mp3_only")
def test_a_machine_makes_only_so_many_at_once_for_players(
    deployment: Deployment, client: FlaskClient, host: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.add(RECFILE, wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    (deployment.settings.instance / recording_of(deployment, call_id).path).unlink()
    monkeypatch.setattr(serving, "TURN_SECONDS", 0.01)
    with files._MAKING_MP3, files._MAKING_MP3:
        assert get(client, path_of(deployment, call_id)).status_code == 503
    assert get(client, path_of(deployment, call_id)).status_code == 200


def test_two_workers_make_one_mp3_once(deployment: Deployment, host: Recordings) -> None:
    host.add(RECFILE, wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    making.order_mp3(deployment, call_id)
    [job] = jobs.claim_due(deployment.database, "one")
    assert job.is_mp3
    assert jobs.claim_due(deployment.database, "two") == []
    purge_number(deployment, "+380987858227")
    jobs.work_one(deployment, job)  # forgotten while it was made
    assert recording_of(deployment, call_id).mp3_path is None
    assert list((deployment.settings.instance / "recordings").glob("[!.]*/*/*")) == []


def test_other_crms_get_what_evrotel_has(deployment: Deployment, host: Recordings) -> None:
    content = host.add(RECFILE, wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    assert path_of(deployment, call_id).endswith(".wav")
    fetch_due(deployment)
    recording = recording_of(deployment, call_id)
    assert (recording.content_type, recording.size) == ("audio/wav", len(content))
    assert links.plays_only_mp3("no such CRM") is False


# --- kill -9 ----------------------------------------------------------------------------------------------------

DYING = """
import os, signal, sys
from pathlib import Path
from connector.deployment import Deployment
from connector.recordings import files, jobs, mp3
from tests.conftest import make_settings
url, folder, when = sys.argv[1:]
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
deployment = Deployment(make_settings(url, Path(folder)))
if when == "half": mp3._read = lambda sound, read=mp3._read: die() if sound.tell() else read(sound)
if when == "made": files.to_mp3 = lambda *args, make=files.to_mp3, **named: die(make(*args, **named))
if when == "kept": deployment.store.keep = lambda *args, keep=deployment.store.keep: die(keep(*args))
jobs.work_recordings(deployment, when, lambda job: job())
"""


@pytest.mark.parametrize(("when", "kept"), [("half", 0), ("made", 0), ("kept", 1)])
def test_who_dies_leaves_nothing_that_is_half(tmp_path: Path, host: Recordings, when: str, kept: int) -> None:
    host.add(RECFILE, wav("ALAW", seconds=20))
    url = f"sqlite:///{tmp_path / 'connector.db'}"
    here = Deployment(make_settings(url, tmp_path))
    schema.upgrade(here.database.engine)
    call_id = add_recording(here, add_connection(here, evrotel_recordings_url=host.url))
    script = [sys.executable, "-c", DYING, url, str(tmp_path), when]
    died = subprocess.run(script, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert len(list(here.store.stored())) == kept
    assert recording_of(here, call_id).state == "pending"
    change(here, call_id, leased_until=now() - timedelta(seconds=1))
    fetch_due(here)
    recording = recording_of(here, call_id)
    with here.store.open(recording.path) as file:
        assert soundfile.info(io.BytesIO(file.read())).duration == pytest.approx(20, abs=0.1)
    here.database.dispose()


# --- For a CRM that can't fetch our link ------------------------------------------------------------------------


def test_large_content_goes_to_a_crm_as_mp3(
    deployment: Deployment, host: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = host.add(RECFILE, wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    with pytest.raises(TryAgain):
        read_recording(deployment, call_id)
    fetch_due(deployment)
    assert read_recording(deployment, call_id) == original
    monkeypatch.setattr("connector.recordings.content.LARGE_CONTENT", 1000)
    monkeypatch.setattr(serving, "MP3_SECONDS", 0.0)
    with pytest.raises(TryAgain):
        read_recording(deployment, call_id)
    fetch_due(deployment)
    sent = read_recording(deployment, call_id)
    assert soundfile.info(io.BytesIO(sent)).format == "MP3"
    monkeypatch.setattr("connector.recordings.content.MOST_CONTENT", 1000)
    with pytest.raises(Refused, match="PUBLIC_URL"):
        read_recording(deployment, call_id)
    purge_number(deployment, "+380987858227")
    with pytest.raises(Refused, match="no longer there"):
        read_recording(deployment, call_id)
