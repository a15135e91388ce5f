"""The whole way of a campaign in a real browser: audio, list, hours, test call, start, watching, results."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from connector.panel.signin import create_user, make_sign_in_link
from tests.browsers import needs_browser, uncomplaining
from tests.emulators.evrotel import WebApps
from tests.emulators.evrotel.sounds import noise
from tests.served import Served

pytestmark = needs_browser
MINE = "0501112233"


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """A supervisor's, in English, that must not report an error or a breach of the policy."""
    database, shop = served.deployment.database, served.deployment.connections.get("acme")
    user = create_user(database, "Petro", "supervisor", connection_id=shop.id)
    with uncomplaining(browser, locale="en-GB", viewport={"width": 600, "height": 800}) as context:
        page = context.new_page()
        page.goto(f"{served.url}/sign-in/{make_sign_in_link(database, user)}")
        page.get_by_role("button").last.click()
        yield page


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_campaign_from_the_audio_to_the_results(page: Page, evrotel_apps: WebApps, tmp_path: Path) -> None:
    evrotel_apps.play_seconds = 0.4
    (tmp_path / "greeting.wav").write_bytes(noise(1.0))
    page.get_by_role("link", name="Autodial").click()
    page.get_by_role("link", name="Audio files").click()
    page.get_by_label("Audio file").set_input_files(tmp_path / "greeting.wav")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("Evrotel has the file as 20558_greeting_")).to_be_visible()
    shot(page, "audio")
    page.get_by_role("link", name="Campaigns").click()
    page.get_by_role("link", name="New campaign").click()
    page.get_by_label("Name of the campaign").fill("Spring")
    shot(page, "new")
    listed = [f"067{number:07d}" for number in range(8)]
    page.get_by_label("Numbers", exact=True).fill("\n".join([*listed, listed[0], "nobody"]))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="What was found in the list")).to_be_visible()
    shot(page, "checked")
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_label("Quiet hours")).to_have_value("20:00-09:00")
    shot(page, "when")
    page.get_by_label("Quiet hours").fill("")
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Your phone").fill(MINE)
    shot(page, "draft")
    page.get_by_role("button", name="Call me").click()
    consent = page.get_by_label("The people on this list have agreed")
    expect(consent).to_be_visible(timeout=20_000)
    assert evrotel_apps.plays == [f"38{MINE}"]
    consent.check()
    shot(page, "tested")
    page.get_by_role("button", name="Start (numbers: 8)").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    shot(page, "running")
    expect(page.locator(".page-head").get_by_text("Finished")).to_be_visible(timeout=20_000)
    expect(page.get_by_label("8 of 8")).to_be_visible()
    shot(page, "finished")
    assert sorted(evrotel_apps.plays[1:]) == [f"38{number}" for number in listed]
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    table = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert table[1].startswith("380670000000;done;answered;1;")
    assert len(table) == 9
    page.get_by_role("link", name="Evrotel's own list").click()
    page.get_by_label("Name of the campaign").fill("Own")
    page.get_by_label("The people on this list have agreed").check()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("Evrotel has begun to call its list.")).to_be_visible()
    page.locator("a.who").filter(has_text="Own").click()
    expect(page.get_by_text("It can be watched and stopped only there.")).to_be_visible()
    [started] = [each.content for each in evrotel_apps.requests if each.path == "/autodial/"]
    assert (started["mediafile"].startswith("20558_greeting_"), started["chnum"]) == (True, 3)
