"""Where a CRM's player takes nothing but MP3, recordings are made into it, and the link ends so from the beginning."""

from __future__ import annotations

import dataclasses
import io
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import soundfile
from flask.testing import FlaskClient

from connector.deployment import Deployment
from connector.recordings import files, jobs, links
from connector.recordings.fetch import Ready, fetch
from connector.recordings.mp3 import bitrate, make_mp3
from crm_adapters.registry import DESCRIPTIONS
from tests.connector.recordings.rows import RECFILE, add_connection, add_recording, recording_of
from tests.connector.recordings.test_views import client_of, get, path_of
from tests.emulators.evrotel import Recordings

SECONDS = 2.0
CODECS = ["PCM_U8", "PCM_16", "ALAW", "ULAW", "GSM610"]
ROOT = Path(__file__).parents[3]
Sound = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def speech(rate: int = 8000, channels: int = 1, seconds: float = SECONDS) -> Sound:
    """Two tones that a telephone carries, another pair in the second channel, and silence between."""
    at = np.arange(int(rate * seconds)) / rate
    pairs = [(420, 1300), (610, 900)][:channels]
    voices = [0.3 * np.sin(2 * np.pi * low * at) + 0.1 * np.sin(2 * np.pi * high * at) for low, high in pairs]
    return np.stack(voices, axis=1) * (np.sin(4 * np.pi * at) > 0)[:, None]


def wav(codec: str = "PCM_16", rate: int = 8000, channels: int = 1, seconds: float = SECONDS) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, speech(rate, channels, seconds), rate, subtype=codec, format="WAV")
    return file.getvalue()


def made_of(folder: Path, content: bytes) -> Path:
    """The MP3 of a recording."""
    source, made = folder / "call.wav", folder / "call.mp3"
    source.write_bytes(content)
    made.unlink(missing_ok=True)
    assert make_mp3(source, made) is None
    return made


def likeness(heard: Sound, spoken: Sound) -> float:
    """1: the same sound; 0: nothing in common."""
    length = min(len(heard), len(spoken))
    return float(np.corrcoef(heard[:length].ravel(), spoken[:length].ravel())[0, 1])


def test_each_codec_of_a_telephone_sounds_the_same_as_mp3(tmp_path: Path) -> None:
    for codec in CODECS:
        content = wav(codec)
        heard, rate = soundfile.read(made_of(tmp_path, content), always_2d=True)
        spoken, _ = soundfile.read(io.BytesIO(content), always_2d=True)
        assert rate == 8000
        assert len(heard) / rate == pytest.approx(SECONDS, abs=0.1), codec
        assert likeness(heard, spoken) > 0.99, codec


@pytest.mark.parametrize(
    ("rate", "channels", "made_rate"),
    [(8000, 2, 8000), (16000, 1, 16000), (44100, 2, 44100), (6000, 1, 8000), (96000, 2, 48000)],
)
def test_any_rate_and_stereo_stay_what_they_are(tmp_path: Path, rate: int, channels: int, made_rate: int) -> None:
    content = wav(rate=rate, channels=channels)
    made = made_of(tmp_path, content)
    heard, heard_rate = soundfile.read(made, always_2d=True)
    assert (heard_rate, heard.shape[1]) == (made_rate, channels)
    assert len(heard) / made_rate == pytest.approx(SECONDS, abs=0.1)
    assert likeness(heard, speech(made_rate, channels)) > 0.99
    assert made.stat().st_size < len(content)


def test_a_minute_is_as_large_as_promised_and_the_same_everywhere(tmp_path: Path) -> None:
    content = wav("ALAW", seconds=60)
    made = made_of(tmp_path, content).read_bytes()
    assert bitrate(8000, 1) == 32
    assert len(made) == pytest.approx(60 * 32000 / 8, rel=0.01)
    assert len(made) < len(content) * 0.51
    assert made_of(tmp_path, content).read_bytes() == made


@pytest.mark.parametrize("codec", ["PCM_16", "GSM610"])
def test_a_file_that_was_never_closed_is_heard_as_far_as_it_goes(tmp_path: Path, codec: str) -> None:
    whole = wav(codec)
    data = whole.index(b"data") + 4
    left_open = whole[:4] + bytes(4) + whole[8:data] + bytes(4) + whole[data + 4 :]
    heard = soundfile.info(made_of(tmp_path, left_open[: len(whole) // 2]))
    assert heard.duration == pytest.approx(SECONDS / 2, abs=0.1)


def test_what_is_no_sound_is_told_from_a_disk_that_is_full(tmp_path: Path) -> None:
    source = tmp_path / "call.wav"
    for content in (b"RIFF\x24\0\0\0WAVEfmt ", wav(seconds=0), b"ID3" + bytes(500), strange_wav()):
        source.write_bytes(content)
        assert make_mp3(source, tmp_path / "call.mp3")
        (tmp_path / "call.mp3").unlink(missing_ok=True)
    source.write_bytes(wav(seconds=20))
    with pytest.raises(OSError, match="could not be written"):
        make_mp3(source, Full(tmp_path / "call.mp3"))


def strange_wav() -> bytes:
    """Whole by its header, in a codec that nobody knows."""
    known = wav()
    return known[:20] + b"\x34\x12" + known[22:]


class Full(type(Path())):  # type: ignore[misc]  # the class of paths is the machine's
    """A file on a disk that has no room left."""

    def open(self, *_: object, **__: object) -> io.BufferedWriter:
        return io.open("/dev/full", "wb")  # noqa: UP020 - the method's own name


def test_making_holds_up_no_other_thread(tmp_path: Path) -> None:
    """120 seconds are 15 blocks: so often others would run if each block were made under the interpreter's lock."""
    source = tmp_path / "call.wav"
    source.write_bytes(wav(seconds=120))
    make = Thread(target=make_mp3, args=(source, tmp_path / "call.mp3"))
    make.start()
    turns = 0
    while make.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 60


# --- Fetched by the worker, served to players -------------------------------------------------------------------


@pytest.fixture
def host() -> Iterator[Recordings]:
    with Recordings() as recordings:
        yield recordings


@pytest.fixture(autouse=True)
def _needs_mp3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DESCRIPTIONS, "journal", dataclasses.replace(DESCRIPTIONS["journal"], needs_mp3=True))


@pytest.fixture
def client(deployment: Deployment) -> FlaskClient:
    return client_of(deployment)


def fetch_due(deployment: Deployment) -> None:
    jobs.work_recordings(deployment, "worker", lambda job: job())


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
    assert get(client, link.replace(".mp3", ".wav")).status_code == 404

    path = deployment.settings.instance / recording_of(deployment, call_id).path
    assert [each.name for each in path.parent.iterdir()] == [f"{call_id}.mp3"]
    path.unlink()  # as on another machine
    again = get(client, link)
    assert (again.data, again.headers["ETag"]) == (whole.data, whole.headers["ETag"])


def test_an_mp3_of_evrotel_s_is_served_as_it_is(deployment: Deployment, client: FlaskClient, host: Recordings) -> None:
    content = host.add(RECFILE, b"ID3\x04" + bytes(100))
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    assert get(client, path_of(deployment, call_id)).data == content


def test_what_cannot_be_decoded_is_kept_as_it_came(
    deployment: Deployment, client: FlaskClient, host: Recordings, caplog: pytest.LogCaptureFixture
) -> None:
    """At the link that the CRM has, too, with its own content type: some players may know it, and it can be saved."""
    content = host.add(RECFILE, strange_wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    given = path_of(deployment, call_id)
    with caplog.at_level(logging.WARNING, "connector.recordings"):
        fetch_due(deployment)
    [warning] = caplog.records
    assert "can't be made into MP3" in warning.getMessage()
    assert call_id in str(warning.__dict__)
    later = path_of(deployment, call_id)
    assert (given[-4:], later[-4:]) == (".mp3", ".wav")
    for link in (given, later):
        answer = get(client, link)
        assert (answer.headers["Content-Type"], answer.data) == ("audio/wav", content)


def test_a_machine_makes_only_so_many_at_once_for_players(
    deployment: Deployment, client: FlaskClient, host: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.add(RECFILE, wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    fetch_due(deployment)
    (deployment.settings.instance / recording_of(deployment, call_id).path).unlink()
    monkeypatch.setattr(files, "TURN_SECONDS", 0.01)
    with files._MAKING_MP3, files._MAKING_MP3:
        assert get(client, path_of(deployment, call_id)).status_code == 503
    assert get(client, path_of(deployment, call_id)).status_code == 200


def test_other_crms_get_what_evrotel_has(
    deployment: Deployment, host: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    content = host.add(RECFILE, wav())
    call_id = add_recording(deployment, add_connection(deployment, evrotel_recordings_url=host.url))
    assert path_of(deployment, call_id).endswith(".wav")
    fetch_due(deployment)
    recording = recording_of(deployment, call_id)
    assert (recording.content_type, recording.size) == ("audio/wav", len(content))
    assert links.plays_only_mp3("no such CRM") is False


# --- kill -9 ----------------------------------------------------------------------------------------------------

DYING = """
import os, pathlib, signal, sys
from connector.recordings import fetch, mp3
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
def make(source, made):
    if sys.argv[2] == "half": mp3._read = lambda sound, read=mp3._read: die() if sound.tell() else read(sound)
    trouble = mp3.make_mp3(source, made)
    if sys.argv[2] == "made": die()
    return trouble is None
replace = pathlib.Path.replace
pathlib.Path.replace = lambda *paths: die(replace(*paths))
for sys.argv[2:] in (["half"], ["made"], ["placed"]):
    if not (child := os.fork()):
        fetch.fetch("/a.wav", sys.argv[1], pathlib.Path(sys.argv[2], "call"), allow_local=True, make_mp3=make)
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]))
"""


def test_who_dies_leaves_nothing_that_is_half(tmp_path: Path, host: Recordings) -> None:
    host.add("/a.wav", wav(seconds=20))
    script = [sys.executable, "-c", DYING, host.url]
    died = subprocess.run(script, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    assert died.stdout.split() == [b"9"] * 3
    for when, placed in (("half", []), ("made", []), ("placed", ["call.mp3"])):
        folder = tmp_path / when
        left = [each.name for each in folder.iterdir()]
        assert [name for name in left if not name.endswith(".part")] == placed  # the sweep takes the rest
        assert len(left) == 2 or placed
        outcome = fetch(
            "/a.wav",
            host.url,
            folder / "call",
            allow_local=True,
            make_mp3=lambda source, made: make_mp3(source, made) is None,
        )
        made = folder / "call.mp3"
        assert outcome == Ready(path=made, content_type="audio/mpeg", size=made.stat().st_size)
        assert soundfile.info(made).duration == pytest.approx(20, abs=0.1)
