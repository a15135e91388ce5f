"""Campaigns by command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.deployment import Deployment
from tests.connector.commands.conftest import Console
from tests.emulators.evrotel import WebApps, wav

MEDIA = "20558_greeting.wav"


@pytest.fixture
def apps(environment: dict[str, str]) -> Iterator[WebApps]:
    with WebApps() as apps:
        apps.media[MEDIA] = wav()
        environment["EVROTEL_API_URL"] = apps.url
        yield apps


@pytest.fixture
def acme(deployment: Deployment, apps: WebApps) -> WebApps:
    deployment.connections.add("acme", "journal", {"evrotel_billcode": "20558", "evrotel_token": apps.token})
    return apps


def test_a_campaign_is_made_steered_and_its_results_are_written(
    connector: Console, acme: WebApps, tmp_path: Path
) -> None:
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("phone\n0671234567\n0501112233\n0671234567\nnobody\n")
    assert connector("autodial", "do-not-call", "add", "0501112233", "--reason", "asked us").stdout == "1 added\n"
    made = connector("autodial", "start", "--mediafile", MEDIA, "--numbers", str(numbers), "--name", "Spring")
    assert made.exit_code == 0, made.output
    assert "left out, line 5: nobody" in made.stderr
    assert "1 to be called, 1 duplicates, 1 not to be called, 1 left out" in made.stderr
    campaign_id = made.stdout.splitlines()[-1]
    assert connector("autodial", "list").stdout == f"{campaign_id}\trunning\t1/2\tSpring\n"
    assert connector("autodial", "pause", campaign_id).stdout == f"{campaign_id}: paused\n"
    assert connector("autodial", "resume", campaign_id).stdout == f"{campaign_id}: running\n"
    assert connector("autodial", "stop", campaign_id).stdout == f"{campaign_id}: stopped\n"
    again = connector("autodial", "resume", campaign_id)
    assert (again.exit_code, again.stderr) == (1, "Error: the campaign is stopped\n")
    assert "skipped 2" in connector("autodial", "show", campaign_id).stdout
    lines = connector("autodial", "results", campaign_id).stdout.splitlines()
    assert lines[0] == "number;state;result;tries;seconds;last_change;call"
    assert lines[1].startswith("380671234567;skipped;stopped;0;")
    assert lines[2].startswith("380501112233;skipped;do_not_call;0;")
    assert connector("autodial", "results", campaign_id, "-o", str(tmp_path / "out.csv")).exit_code == 0
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfnumber;")


def test_who_is_not_to_be_called(connector: Console, acme: WebApps) -> None:
    connector("autodial", "do-not-call", "add", "0501112233")
    assert connector("autodial", "do-not-call", "list").stdout.startswith("+380501112233\t")
    assert connector("autodial", "do-not-call", "remove", "050 111 22 33").exit_code == 0
    assert connector("autodial", "do-not-call", "remove", "0501112233").exit_code == 1
    assert connector("autodial", "do-not-call", "add", "112").exit_code == 1


def test_what_is_wrong_is_one_clear_line(connector: Console, acme: WebApps, tmp_path: Path) -> None:
    sound = tmp_path / "message.mp3"
    sound.write_bytes(b"no sound")
    assert connector("autodial", "media", str(sound)).stderr.startswith("Error: This is no WAV")
    unknown = connector("autodial", "start", "--mediafile", "other.wav")
    assert (unknown.exit_code, unknown.stderr) == (1, "Error: Evrotel has no file other.wav of this connection\n")
    assert connector("autodial", "show", "nothing").stderr == "Error: there is no campaign nothing\n"
    acme.refuse = True
    refused = connector("autodial", "start", "--mediafile", MEDIA)
    assert (refused.exit_code, refused.stderr) == (1, "Error: Evrotel did not start its list, it said: bad\n")
    assert connector("autodial", "list").stdout == ""
