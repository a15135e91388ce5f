"""The portal's installation over real HTTP: a genuine one connects, a forged one changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.emulators.bitrix24 import OPTIONAL_KEYS, Bitrix24
from tests.running import Installation

pytestmark = pytest.mark.processes


@pytest.fixture
def installation(tmp_path: Path, portal: Bitrix24) -> Iterator[Installation]:
    installation = Installation(tmp_path, f"sqlite:///{tmp_path / 'connector.db'}", BITRIX24_OAUTH_URL=portal.oauth_url)
    installation.add_bitrix24(portal)
    installation.start_web()
    yield installation
    installation.close()


def test_the_page_finishes_the_installation_in_the_portal_s_frame_only(
    installation: Installation, portal: Bitrix24
) -> None:
    answer = installation.install(portal)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert f"frame-ancestors {portal.portal_url}" in policy
    assert "X-Frame-Options" not in answer.headers
    assert "https://api.bitrix24.com/api/v1/" in answer.text
    assert "installed.js" in answer.text
    script = requests.get(f"{installation.url}/static/installed.js", timeout=5)
    assert "installFinish" in script.text


def test_an_older_portal_installs_too(installation: Installation, portal: Bitrix24) -> None:
    query, form = portal.install_form(without=OPTIONAL_KEYS)
    answer = requests.post(f"{installation.url}/bitrix24/acme/install", params=query, data=form, timeout=20)
    assert answer.status_code == 200


def test_forged_installations_change_nothing(installation: Installation, portal: Bitrix24) -> None:
    assert installation.install(portal).status_code == 200
    with Bitrix24() as stranger:
        for forged in (
            stranger.install_form(),
            portal.install_form(user_id=2),
            portal.install_form(AUTH_ID="forged"),
            portal.install_form(member_id="0" * 32),
            portal.install_form(DOMAIN=stranger.portal),
        ):
            query, form = forged
            answer = requests.post(f"{installation.url}/bitrix24/acme/install", params=query, data=form, timeout=20)
            assert answer.status_code in {400, 403}
        assert stranger.requests == []
    start = installation.transmitter().start("0987858227", "101")
    assert start.callid == portal.calls[0].call_id


def test_an_employee_opens_the_application_and_changes_nothing(installation: Installation, portal: Bitrix24) -> None:
    installation.install(portal)
    query, form = portal.install_form(user_id=2)
    opened = requests.post(f"{installation.url}/bitrix24/acme/app", params=query, data=form, timeout=20)
    assert opened.status_code == 200
    assert "installed.js" not in opened.text
    assert f"frame-ancestors {portal.portal_url}" in opened.headers["Content-Security-Policy"]


def test_uninstalling_pauses_with_a_reason_and_needs_the_application_token(
    installation: Installation, portal: Bitrix24
) -> None:
    installation.install(portal)
    address = f"{installation.url}/bitrix24/acme/events"
    forged = portal.send_event(address, "ONAPPUNINSTALL", {"CLEAN": "1"}, application_token="forged")
    assert forged[0] == 403
    assert "paused" not in installation.command("connection", "show", "acme").stdout
    assert portal.send_event(address, "ONAPPUNINSTALL", {"CLEAN": "1"})[0] == 200
    assert "paused" in installation.command("connection", "show", "acme").stdout
