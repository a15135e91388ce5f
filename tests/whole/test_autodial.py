"""Campaigns by the HTTP API against Evrotel's emulator: everybody once, nobody twice, as many at once as was said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import update

from connector.api.keys import create_api_key
from connector.autodial import claiming, finding_out
from connector.db import Database, now
from connector.models import CampaignNumber
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.evrotel import Exchange, WebApps, wav
from tests.emulators.evrotel.sounds import noise
from tests.running import Installation, wait_for
from tests.served import Served

MEDIA = "20558_greeting.wav"


def numbers(count: int, first: int = 0) -> list[str]:
    return [f"067{number:07d}" for number in range(first, first + count)]


def dialled(number: str) -> str:
    return f"38{number}"


class Program:
    """Speaks to the HTTP API with a key."""

    def __init__(self, url: str, key: str) -> None:
        self.url = f"{url}/api/v1/connections/acme/autodial"
        self.headers = {"Authorization": f"Bearer {key}"}

    def upload(self, content: bytes, name: str = "Greeting 1.wav") -> requests.Response:
        files = {"file": (name, content)}
        return requests.post(f"{self.url}/media", files=files, headers=self.headers, timeout=60)

    def start(self, listed: list[Any] | None = None, **values: Any) -> requests.Response:
        content = {"mediafile": MEDIA, **({} if listed is None else {"numbers": listed}), **values}
        headers = self.headers | content.pop("headers", {})
        return requests.post(f"{self.url}/campaigns", json=content, headers=headers, timeout=60)

    def campaign(self, campaign_id: str) -> Any:
        return requests.get(f"{self.url}/campaigns/{campaign_id}", headers=self.headers, timeout=60).json()

    def steer(self, campaign_id: str, what: str) -> requests.Response:
        return requests.post(f"{self.url}/campaigns/{campaign_id}/{what}", headers=self.headers, timeout=60)

    def finished(self, campaign_id: str, seconds: float = 30) -> Any:
        return wait_for(
            lambda: (found := self.campaign(campaign_id))["status"] == "finished" and found,
            seconds,
        )


@pytest.fixture
def program(served: Served, evrotel_apps: WebApps) -> Iterator[Program]:
    evrotel_apps.media[MEDIA] = wav()
    deployment = served.deployment
    yield Program(served.url, create_api_key(deployment.database, deployment.connections.get("acme").id))
    assert evrotel_apps.refusals == []


def results(campaign: Any) -> dict[str, str]:
    return {each["number"]: each["result"] for each in campaign["numbers"]}


def test_an_upload_is_converted_fetched_by_evrotel_and_kept_by_its_name(
    evrotel_apps: WebApps, program: Program
) -> None:
    answer = program.upload(wav(0.5))
    assert answer.status_code == 201
    kept = answer.json()
    assert kept["mediafile"].startswith("20558_greeting_1_")
    assert kept["seconds"] == 0.5
    assert kept["mediafile"] in evrotel_apps.media
    link = next(each.content["mediafile"] for each in evrotel_apps.requests if each.path == "/autodial/media/")
    assert requests.get(link, timeout=10).status_code == 404  # good only until Evrotel had it
    assert program.start(numbers(1), mediafile=kept["mediafile"]).status_code == 201
    wait_for(lambda: evrotel_apps.plays)
    assert program.upload(noise(2.0)).json()["seconds"] == 2.0


def test_what_is_no_audio_or_not_taken_is_said(evrotel_apps: WebApps, program: Program) -> None:
    assert "WAV" in program.upload(b"no audio at all").json()["errors"]["file"][0]
    assert program.upload(b"").status_code == 422
    assert program.upload(bytes(21 * 1024 * 1024)).status_code == 413
    evrotel_apps.go_down()
    refused = program.upload(wav())
    assert (refused.status_code, refused.headers["Content-Type"]) == (502, "application/problem+json")
    evrotel_apps.come_up()


def test_everybody_is_called_once_and_the_crm_hears_of_it(
    served: Served, portal: Bitrix24, evrotel_apps: WebApps, program: Program
) -> None:
    evrotel_apps.play_seconds = 0.1
    evrotel_apps.exchange = Exchange(transmitter=served.transmitter())
    portal.add_contact("Iryna", f"+{dialled(numbers(1)[0])}", assigned_by_id=3)
    listed = [*numbers(8), "+380 67 000 00 01", "112", "nobody", "+1 201 555 0123"]
    evrotel_apps.dial_answers |= {dialled(numbers(8)[2]): ["BUSY", "ANSWER"], dialled(numbers(8)[3]): ["NOANSWER"]}
    answer = program.start(listed, chnum=3, attempts=2, retry_seconds=0, name="Spring")
    assert (answer.status_code, answer.json()["status"]) == (201, "running")
    assert [each["index"] for each in answer.json()["rejected"]] == [9, 10, 11]
    assert answer.json()["duplicates"] == ["+380670000001"]
    done = program.finished(answer.json()["id"])
    tried = {each["number"]: each["tries"] for each in done["numbers"]}
    assert results(done) == {f"+38{number}": "answered" for number in numbers(8)} | {"+380670000003": "no_answer"}
    assert (tried["+380670000000"], tried["+380670000002"], tried["+380670000003"]) == (1, 2, 2)
    assert len(evrotel_apps.plays) == 10
    assert evrotel_apps.most_playing == 3
    wait_for(lambda: len(portal.calls) == 10 and all(call.finished for call in portal.calls))
    assert {call.type for call in portal.calls} == {5}
    wait_for(lambda: "Кампанія автообдзвону «Spring»." in {each.description for each in portal.account.activities})
    assert (done["counts"]["answered"], done["counts"]["no_answer"], done["counts"]["total"]) == (7, 1, 8)


def test_too_soon_is_no_try_and_waits(evrotel_apps: WebApps, program: Program) -> None:
    evrotel_apps.repeat_seconds = 1
    number = numbers(1)[0]
    evrotel_apps.dial_answers[dialled(number)] = ["BUSY", "ANSWER"]
    done = program.finished(program.start([number], attempts=2, retry_seconds=0).json()["id"])
    assert (done["numbers"][0]["result"], done["numbers"][0]["tries"]) == ("answered", 2)
    asked = [each for each in evrotel_apps.requests if each.path.startswith("/autodialapi/")]
    assert len(asked) == 3


def test_pause_resume_and_stop(evrotel_apps: WebApps, program: Program) -> None:
    evrotel_apps.play_seconds = 0.3
    campaign_id = program.start(numbers(30), chnum=2).json()["id"]
    wait_for(lambda: len(evrotel_apps.plays) >= 2)
    assert program.steer(campaign_id, "pause").json()["status"] == "paused"
    wait_for(lambda: evrotel_apps.playing == 0)
    placed = len(evrotel_apps.plays)
    wait_for(lambda: program.campaign(campaign_id)["counts"]["answered"] == placed)
    assert program.steer(campaign_id, "resume").json()["status"] == "running"
    wait_for(lambda: len(evrotel_apps.plays) > placed)
    assert program.steer(campaign_id, "stop").json()["status"] == "stopped"
    wait_for(lambda: evrotel_apps.playing == 0)
    placed = len(evrotel_apps.plays)
    found = wait_for(lambda: (now_ := program.campaign(campaign_id))["counts"]["calling"] == 0 and now_)
    assert (found["status"], found["counts"]["answered"]) == ("stopped", placed)
    assert found["counts"]["skipped"] == 30 - placed
    assert program.steer(campaign_id, "resume").status_code == 409
    assert len(evrotel_apps.plays) == placed


def test_quiet_hours_are_the_clients(evrotel_apps: WebApps, program: Program) -> None:
    campaign_id = program.start(numbers(2), quiet_hours="00:00-12:00; 12:00-23:59").json()["id"]
    wait_for(lambda: program.campaign(campaign_id)["counts"]["waiting"] == 2)
    assert program.start(numbers(1), quiet_hours="evening").status_code == 422
    assert program.start(numbers(1), quiet_hours="").json()["status"] == "running"
    wait_for(lambda: len(evrotel_apps.plays) == 1)
    assert program.campaign(campaign_id)["counts"]["waiting"] == 2


def test_the_test_call_comes_first_and_must_be_answered(evrotel_apps: WebApps, program: Program) -> None:
    mine = "0501112233"
    evrotel_apps.dial_answers[dialled(mine)] = ["NOANSWER", "ANSWER"]
    campaign_id = program.start(numbers(2), test_number=mine).json()["id"]
    paused = wait_for(lambda: (found := program.campaign(campaign_id))["status"] == "paused" and found)
    assert "test call was not answered" in paused["error"]
    assert evrotel_apps.plays == [dialled(mine)]
    program.steer(campaign_id, "resume")
    program.finished(campaign_id)
    assert evrotel_apps.plays[:2] == [dialled(mine)] * 2
    assert sorted(evrotel_apps.plays[2:]) == [dialled(number) for number in numbers(2)]


def test_evrotels_own_list_is_started_once(evrotel_apps: WebApps, program: Program) -> None:
    key = {"Idempotency-Key": "monday"}
    first = program.start(chnum=5, headers=key)
    again = program.start(chnum=5, headers=key)
    assert (first.status_code, first.json()["status"], again.json()["id"]) == (201, "running", first.json()["id"])
    started = [each.content for each in evrotel_apps.requests if each.path == "/autodial/"]
    assert started == [{"billcode": "20558", "mediafile": MEDIA, "chnum": 5}]
    assert program.steer(first.json()["id"], "stop").status_code == 409
    evrotel_apps.fails = True
    key = {"Idempotency-Key": "tuesday"}
    for _ in range(2):
        unclear = program.start(chnum=5, headers=key)
        assert (unclear.status_code, "no clear answer: 500" in unclear.json()["detail"]) == (502, True)
    evrotel_apps.fails = False
    listed = requests.get(f"{program.url}/campaigns", headers=program.headers, timeout=10).json()["items"]
    assert [each["error"] is None for each in listed] == [False, True]


def test_an_account_that_does_not_answer_makes_the_campaign_wait(
    evrotel_apps: WebApps, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.autodial.playing.UNREACHABLE_WAIT", timedelta(seconds=0.5))
    evrotel_apps.go_down()
    campaign_id = program.start(numbers(3)).json()["id"]
    wait_for(lambda: program.campaign(campaign_id)["error"])
    evrotel_apps.come_up()
    done = program.finished(campaign_id)
    assert {each["tries"] for each in done["numbers"]} == {1}
    assert sorted(evrotel_apps.plays) == [dialled(number) for number in numbers(3)]


def test_a_lost_answer_is_found_in_the_records_or_stays_unclear(
    evrotel_apps: WebApps, program: Program, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.evrotel.client.PLAY_SECONDS", 0.3)
    monkeypatch.setattr(claiming, "RINGS", timedelta(seconds=0.5))
    monkeypatch.setattr(claiming, "UNKNOWN_LENGTH", timedelta(0))
    monkeypatch.setattr(claiming, "LEASE", timedelta(seconds=0.5))
    monkeypatch.setattr(finding_out, "PATIENCE", timedelta(seconds=1))
    monkeypatch.setattr(finding_out, "RECORDS_EACH", timedelta(seconds=0.5))
    evrotel_apps.play_seconds = 0.8
    evrotel_apps.exchange = Exchange(keeps_records=True)
    done = program.finished(program.start(numbers(1)).json()["id"])
    assert (done["numbers"][0]["result"], done["numbers"][0]["billsec"]) == ("answered", 5)
    evrotel_apps.knows_records = False
    campaign_id = program.start(numbers(1, 5)).json()["id"]
    done = program.finished(campaign_id)
    assert done["numbers"][0]["result"] == "unclear"
    assert len(evrotel_apps.plays) == 2
    evrotel_apps.play_seconds = 0
    assert program.steer(campaign_id, "redial-unclear").json() == {"redialled": 1}
    assert program.finished(campaign_id)["numbers"][0]["result"] == "answered"


def test_an_answer_that_an_event_corrects(served: Served, evrotel_apps: WebApps, program: Program) -> None:
    """Evrotel says that it has taken the call, and the event that somebody has heard it: nobody is called again."""
    number = numbers(1)[0]
    evrotel_apps.dial_answers[dialled(number)] = ["NOANSWER"]
    campaign_id = program.start([number], attempts=2, retry_seconds=60).json()["id"]
    wait_for(lambda: program.campaign(campaign_id)["counts"]["waiting"] == 1 and evrotel_apps.plays)
    start = served.transmitter().start("001", dialled(number), "o", calldate="")
    served.transmitter().end(start.callid, "o", billsec="9", disposition="ANSWERED", recfile="NULL")
    done = program.finished(campaign_id)
    assert (done["numbers"][0]["result"], done["numbers"][0]["billsec"]) == ("answered", 9)
    assert len(evrotel_apps.plays) == 1


def test_who_is_not_to_be_called_is_left_out_also_of_a_campaign_that_runs(
    evrotel_apps: WebApps, program: Program
) -> None:
    def ask(method: str, number: str = "", **content: Any) -> requests.Response:
        url = f"{program.url}/do-not-call{number and '/' + number}"
        return requests.request(method, url, headers=program.headers, timeout=10, **content)

    first, second, third = numbers(3)
    assert ask("POST", json={"numbers": [first], "reason": "asked us"}).json() == {"added": 1}
    assert ask("POST", json={"numbers": ["112"]}).status_code == 422
    evrotel_apps.play_seconds = 0.5
    made = program.start([first, second, third], chnum=1).json()
    assert made["do_not_call"] == [f"+38{first}"]
    ask("POST", json={"numbers": [third]})
    done = results(program.finished(made["id"]))
    assert done == {f"+38{first}": "do_not_call", f"+38{second}": "answered", f"+38{third}": "do_not_call"}
    assert evrotel_apps.plays == [dialled(second)]
    assert [each["number"] for each in ask("GET").json()["items"]] == [f"+38{third}", f"+38{first}"]
    assert ask("DELETE", first).json() == {"removed": f"+38{first}"}
    assert ask("DELETE", first).status_code == 404


@pytest.mark.processes
def test_killed_workers_call_nobody_twice_and_forget_nobody(
    tmp_path: Path, database_url: str, evrotel_apps: WebApps
) -> None:
    evrotel_apps.media[MEDIA] = wav()
    evrotel_apps.play_seconds = 0.2
    evrotel_apps.exchange = Exchange(keeps_records=True)
    urls = {"EVROTEL_API_URL": evrotel_apps.url, "EVROTEL_DIAL_URL": evrotel_apps.dial_url}
    installation = Installation(tmp_path, database_url, **urls)
    try:
        installation.add("acme", "journal", {"evrotel_billcode": "20558", "evrotel_token": evrotel_apps.token})
        installation.start_web()
        others = ["two"] if "postgresql" in database_url else []
        for name in ["one", *others]:
            installation.start_worker(name)
        key = installation.command("api-key", "create", "--connection", "acme").stdout.splitlines()[-1]
        program = Program(installation.url, key)
        campaign_id = program.start(numbers(60), chnum=6).json()["id"]
        for count in (15, 30):
            wait_for(lambda count=count: len(evrotel_apps.plays) >= count)  # type: ignore[misc]  # a lambda of its own
            installation.kill("one")
            if not others:
                wait_for(lambda: not evrotel_apps.playing)
                _time_passes(installation)
            installation.start_worker("one")
        wait_for(lambda: program.campaign(campaign_id)["counts"]["waiting"] == 0 and not evrotel_apps.playing, 40)
        _time_passes(installation, 60)
        done = program.finished(campaign_id, 60)
    finally:
        installation.close()
    assert evrotel_apps.most_playing <= 6
    assert sorted(evrotel_apps.plays) == sorted(map(dialled, numbers(60)))
    assert set(results(done).values()) == {"answered"}


def _time_passes(installation: Installation, seconds: float = 0) -> None:
    """For the calls whose worker is gone: their places are free for so long."""
    database = Database(installation.environment["DATABASE_URL"])
    with database.write() as db:
        free = now() - timedelta(seconds=seconds)
        db.execute(
            update(CampaignNumber).where(CampaignNumber.state == "calling").values(busy_until=free, leased_until=free)
        )
    database.dispose()
