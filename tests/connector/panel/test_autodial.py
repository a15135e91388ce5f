"""The autodial's pages: audio, lists, the way to a start, steering, results, who must not be called."""

from __future__ import annotations

import ast
import io
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from connector.autodial import do_not_call
from connector.connections.store import Connection
from connector.db import now
from connector.deployment import Deployment
from connector.models import Campaign, CampaignNumber, Media
from connector.panel.autodial_words import in_words
from tests.conftest import empty_database
from tests.connector.panel.rows import add_connection, post, signed_in
from tests.emulators.evrotel import wav

AUTODIAL = Path(__file__).parents[3] / "connector" / "autodial"
MEDIA = "20558_greeting.wav"
KEY = "0" * 32
RAISED = {"UnfitAudio", "NotNow", "Refused", "NotTaken", "ValueError"}
ASSIGNED = {"error", "why", "unclear", "NO_NUMBER", "FOREIGN", "PREMIUM"}


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Pages are the same on both engines."""
    return empty_database(request, tmp_path)


@pytest.fixture
def shop(deployment: Deployment) -> Connection:
    """It has an audio file at Evrotel's."""
    shop = add_connection(deployment, evrotel_billcode="20558")
    row = {"name": "greeting.mp3", "wav": wav(), "milliseconds": 1000, "state": "saved", "mediafile": MEDIA}
    made = {"link_nonce": "x", "link_expires_at": now(), "created_by": "Petro", "created_at": now()}
    with deployment.database.write() as db:
        db.execute(insert(Media).values(id="m1", connection_id=shop.id, **row, **made))
    return shop


@pytest.fixture
def boss(app: Flask, deployment: Deployment, shop: Connection) -> FlaskClient:
    """A supervisor of the shop."""
    client = signed_in(app, deployment.database, "Petro", "supervisor", connection_id=shop.id)
    client.set_cookie("language", "en")
    return client


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return str(answer.get_data(as_text=True))


def add_draft(client: FlaskClient, numbers: str = "0671234567", **values: Any) -> Any:
    """What the page of a new campaign answers to numbers."""
    data = {"key": KEY, "name": "Spring", "mediafile": MEDIA, "numbers": numbers}
    return post(client, "/campaigns/shop/new", **data | values)


def large(client: FlaskClient, size: int) -> int:
    """The status of an upload that begins with so many bytes of nothing."""
    return client.post(
        "/campaigns/shop/audio", data=bytes(size), content_type="multipart/form-data; boundary=x"
    ).status_code


def only(deployment: Deployment) -> Any:
    """The only campaign."""
    with deployment.database.read() as db:
        return db.execute(select(*Campaign.__table__.columns)).one()


def address(deployment: Deployment, what: str = "") -> str:
    return f"/campaigns/shop/{only(deployment).id}{what}"


def heard(deployment: Deployment) -> None:
    """Somebody has answered the test call."""
    with deployment.database.write() as db:
        db.execute(update(Campaign).values(test_state="answered", tested_at=now()))


def began(deployment: Deployment, boss: FlaskClient, numbers: str = "0671234567\n0671234568") -> str:
    """A campaign that runs; its address."""
    add_draft(boss, numbers)
    heard(deployment)
    assert post(boss, address(deployment, "/start"), consent="y").status_code == 302
    return address(deployment)


def test_an_upload_can_be_heard_before_evrotel_has_it(boss: FlaskClient) -> None:
    upload = (io.BytesIO(wav(0.5)), "Hello <b>.wav")
    answer = post(boss, "/campaigns/shop/audio", file=upload)
    assert answer.status_code == 302
    shown = page(boss, "/campaigns/shop/audio")
    assert "Evrotel could not be reached" in shown
    assert "Hello &lt;b&gt;.wav" in shown
    assert "Not at Evrotel yet" in shown
    links = re.findall(r'src="(/campaigns/shop/audio/\w+\.wav)"', shown)
    sound = boss.get(links[0])
    assert (sound.mimetype, sound.data[:4], len(sound.data)) == ("audio/wav", b"RIFF", 8044)
    assert boss.get(links[0], headers={"Range": "bytes=0-3"}).data == b"RIFF"
    assert boss.get("/campaigns/shop/audio/unknown.wav").status_code == 404


def test_what_is_no_audio_is_said_at_its_field(boss: FlaskClient) -> None:
    answer = post(boss, "/campaigns/shop/audio", file=(io.BytesIO(b"no audio"), "x.mp3"))
    assert answer.status_code == 400
    assert "This is no WAV, MP3, OGG or FLAC file" in answer.text
    assert "Choose a file." in post(boss, "/campaigns/shop/audio").text
    assert large(boss, 21 * 2**20) == 413


def test_a_large_body_of_a_stranger_is_not_read(app: Flask, shop: Connection) -> None:
    assert large(app.test_client(), 2**20) == 413


def test_what_is_left_out_is_shown_before_one_goes_on(
    boss: FlaskClient, deployment: Deployment, shop: Connection
) -> None:
    do_not_call.add(deployment.database, shop, ["+380671234569"], "asked", "Petro")
    listed = "phone;name\n0671234567;Olha\n067 123 45 67;again\n\n+1 201 555 0123;far\n0671234569;no\n<b>;x\n"
    shown = add_draft(boss, file=(io.BytesIO(listed.encode()), "list.csv")).text
    facts = re.findall(r"<dt>([^<]+)</dt><dd>(?:<strong>)?(\d+)", shown)
    assert [number for _, number in facts] == ["1", "1", "1", "2"]
    lines = re.findall(r'data-label="Line">(\d+)</td><td role="cell" class="code">([^<]+)</td>', shown)
    assert lines == [("5", "+1 201 555 0123"), ("7", "&lt;b&gt;")]
    assert "Evrotel&#39;s autodial calls Ukrainian numbers only" in shown
    assert add_draft(boss, file=(io.BytesIO(listed.encode()), "list.csv")).status_code == 200
    row = only(deployment)  # a form that is sent twice makes one
    assert (row.status, row.quiet_hours, row.created_by) == ("draft", "20:00-09:00", "Petro")


def test_a_list_with_nobody_makes_nothing(boss: FlaskClient, deployment: Deployment) -> None:
    for values in ({"numbers": "nobody"}, {"numbers": ""}, {"numbers": "0671234567", "mediafile": "other.wav"}):
        assert add_draft(boss, **values).status_code == 400
    with_junk = add_draft(boss, file=(io.BytesIO(b"PK junk"), "list.xlsx"))
    assert (with_junk.status_code, "save it as XLSX or CSV" in with_junk.text) == (400, True)
    assert "No campaigns yet" in page(boss, "/campaigns/shop")
    assert add_draft(boss, "\n".join(f"067{number:07d}" for number in range(7_000))).status_code == 200
    assert "0 of 7000" in page(boss, "/campaigns/shop")


def test_when_to_call_is_in_the_connection_s_zone(boss: FlaskClient, deployment: Deployment) -> None:
    add_draft(boss)
    when = address(deployment, "/when")
    form = {"quiet_hours": "21:00-10:00", "holidays": "2026-12-25 2027-01-01", "starts_at": "2026-12-01T10:00"}
    form |= {"ends_at": "2026-12-24T18:00", "chnum": "5", "attempts": "2", "retry_minutes": "15", "pause_seconds": "1"}
    assert post(boss, when, **form, redial=["busy", "failed"]).status_code == 302
    row = only(deployment)
    assert (row.chnum, row.attempts, row.retry_seconds, row.pause_seconds) == (5, 2, 900, 1)
    assert (row.quiet_hours, row.redial) == ("21:00-10:00", ["busy", "failed"])
    assert row.holidays == ["2026-12-25", "2027-01-01"]
    assert row.starts_at.isoformat() == "2026-12-01T08:00:00+00:00"
    assert 'value="2026-12-01T10:00"' in page(boss, when)
    wrong = {"quiet_hours": "evening", "holidays": "Xmas", "chnum": "51", "attempts": "", "ends_at": "2026-11-01T00:00"}
    refused = post(boss, when, **form | wrong, redial=["answered"])
    assert refused.status_code == 400
    assert refused.text.count('class="field-error"') == 5
    assert only(deployment).chnum == 5


def test_nobody_is_called_before_the_test_call_and_the_consent(boss: FlaskClient, deployment: Deployment) -> None:
    add_draft(boss)
    campaign = address(deployment)
    assert "Possible once the test call was answered." in page(boss, campaign)
    post(boss, f"{campaign}/start", consent="y")
    assert "Call a phone of your own first" in page(boss, campaign)
    assert (
        "Evrotel&#39;s autodial calls Ukrainian numbers only"
        in post(boss, f"{campaign}/test", number="+1 201 555 0123").text
    )
    assert post(boss, f"{campaign}/test", number="050 111 22 33").status_code == 302
    assert (only(deployment).test_number, only(deployment).test_state) == ("+380501112233", "due")
    assert "data-alive" in page(boss, f"{campaign}/progress")
    heard(deployment)
    assert "Nobody is called without it." in post(boss, f"{campaign}/start").text
    assert only(deployment).status == "draft"
    post(boss, f"{campaign}/start", consent="y")
    row = only(deployment)
    assert (row.status, row.started_by, row.consent_by) == ("running", "Petro", "Petro")


def test_a_draft_is_thrown_away_and_a_started_campaign_is_not(boss: FlaskClient, deployment: Deployment) -> None:
    add_draft(boss)
    assert post(boss, address(deployment, "/discard")).location == "/campaigns/shop"
    assert "No campaigns yet" in page(boss, "/campaigns/shop")
    campaign = began(deployment, boss)
    post(boss, f"{campaign}/discard")
    assert "This campaign was started before" in page(boss, campaign)
    assert post(boss, f"{campaign}/when", **dict.fromkeys(("chnum", "attempts"), "1")).status_code == 400


def test_pause_go_on_and_stop_say_what_becomes_of_placed_calls(boss: FlaskClient, deployment: Deployment) -> None:
    campaign = began(deployment, boss)
    assert "calls already placed will end by themselves" in page(boss, campaign)
    for what, status in (("pause", "paused"), ("resume", "running"), ("stop", "stopped"), ("resume", "stopped")):
        assert post(boss, f"{campaign}/steer", what=what).status_code == 302
        assert only(deployment).status == status
    assert "The campaign is stopped" in page(boss, campaign)
    assert post(boss, f"{campaign}/steer", what="explode").status_code == 400
    assert "Not called</span> <strong>2" in page(boss, f"{campaign}/progress")


def test_results_are_shown_and_downloaded(boss: FlaskClient, deployment: Deployment) -> None:
    campaign = began(deployment, boss, "\n".join(f"067{number:07d}" for number in range(60)))
    with deployment.database.write() as db:
        first = CampaignNumber.number == "+380670000000"
        done = {"state": "done", "tries": 1}
        db.execute(update(CampaignNumber).where(first).values(result="unclear", **done))
        db.execute(update(CampaignNumber).where(~first).values(result="answered", billsec=75, **done))
        db.execute(update(Campaign).values(status="finished", error="The test call was not made: <b>"))
    shown = page(boss, campaign)
    assert shown.count('data-label="Tries"') == 50
    further = re.search(r'href="([^"]+after=\d+)"', shown)
    assert further
    assert page(boss, further[1]).count('data-label="Tries"') == 10
    assert page(boss, f"{campaign}?result=unclear").count('data-label="Tries"') == 1
    assert "The test call was not made: &lt;b&gt;" in shown
    table = boss.get(f"{campaign}/results.csv")
    assert table.headers["Content-Disposition"].startswith("attachment;")
    assert table.data.decode("utf-8-sig").splitlines()[1].startswith("380670000000;done;unclear;1;")
    post(boss, f"{campaign}/redial-unclear")
    assert "Numbers to be called again: 1." in page(boss, campaign)
    post(boss, f"{campaign}/redial-unclear")
    assert "Numbers to be called again: 0." in page(boss, campaign)
    assert only(deployment).status == "running"


def test_evrotels_own_list_says_what_it_is(boss: FlaskClient, deployment: Deployment) -> None:
    assert "stopped only in Evrotel's cabinet" in page(boss, "/campaigns/shop/evrotels-list")
    form = {"key": KEY, "name": "Own", "mediafile": MEDIA, "chnum": "3"}
    assert "Nobody is called without it." in post(boss, "/campaigns/shop/evrotels-list", **form).text
    refused = post(boss, "/campaigns/shop/evrotels-list", **form, consent="y")
    assert (refused.status_code, "Evrotel could not be reached" in refused.text) == (400, True)


def test_numbers_are_put_on_the_do_not_call_list_and_taken_off(boss: FlaskClient) -> None:
    mine = "/campaigns/shop/do-not-call"
    both = post(boss, mine, numbers="0671234567\nnobody\n", reason="asked <b>")
    assert (both.status_code, "This is no phone number" in both.text) == (400, True)
    assert "asked &lt;b&gt;" in both.text
    assert post(boss, mine, file=(io.BytesIO(b"0671234568\n"), "list.txt")).status_code == 302
    assert page(boss, mine).count('name="number" value="+380') == 2
    assert page(boss, f"{mine}?number=4568").count('name="number" value="+380') == 1
    post(boss, f"{mine}/remove", number="+380671234568")
    assert page(boss, mine).count('name="number" value="+380') == 1


def test_others_see_nothing_of_it(app: Flask, boss: FlaskClient, deployment: Deployment, shop: Connection) -> None:
    campaign = began(deployment, boss)
    other = add_connection(deployment, "other")
    stranger = signed_in(app, deployment.database, "Ivan", "supervisor", connection_id=other.id)
    paths = ("/campaigns/shop", campaign, f"{campaign}/results.csv", "/campaigns/shop/audio/m1.wav")
    assert {stranger.get(path).status_code for path in paths} == {404}
    assert post(stranger, f"{campaign}/steer", what="stop").status_code == 404
    assert stranger.get(campaign.replace("/shop/", "/other/")).status_code == 404
    agent = signed_in(app, deployment.database, "Olha", "agent", connection_id=shop.id, extension="101")
    assert "/campaigns" not in agent.get("/").text
    assert stranger.get("/campaigns").location == "/campaigns/other"
    everything = signed_in(app, deployment.database, "Oksana")
    assert 'href="/campaigns/shop"' in everything.get("/campaigns").text


def said_by_the_autodial() -> set[str]:
    """The texts for people in connector/autodial, with 7 where something is put in."""
    found = set()
    for path in AUTODIAL.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(name), args=[text]) if name in RAISED:
                    found |= _texts(text)
                case ast.Assign(targets=[ast.Name(name)]) if name in ASSIGNED:
                    found |= _texts(node.value)
                case ast.Return(value=ast.Constant(str()) | ast.JoinedStr()) if path.name == "media.py":
                    found |= _texts(node.value)
    return {text for text in found if " " in text}


def _texts(node: ast.expr | None) -> set[str]:
    match node:
        case ast.Constant(str() as text):
            return {text}
        case ast.JoinedStr(values):
            pieces = [str(each.value) if isinstance(each, ast.Constant) else "7" for each in values]
            return {"".join(pieces).replace("the campaign is 7", "the campaign is paused")}
        case ast.IfExp(_, body, other):
            return _texts(body) | _texts(other)
    return set()


def test_all_that_the_autodial_says_is_translated(app: Flask) -> None:
    said = said_by_the_autodial()
    assert len(said) > 25
    with app.test_request_context(headers={"Accept-Language": "uk"}):
        assert [text for text in sorted(said) if not re.search("[а-яі]", in_words(text))] == []
