"""Connecting an account: by the panel, from within amoCRM, by a long-lived token; and how it ends."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from connector.connections.accounts import account_key
from connector.connections.offers import offers_of
from connector.panel.signin import create_user, make_sign_in_link
from tests.emulators.amocrm import AmoCRM
from tests.emulators.amocrm.faults import Fault
from tests.running import wait_for
from tests.whole.amocrm import CLIENT, LINE, Account

TOKEN_PATH = "/oauth2/access_token"


@pytest.fixture
def unconnected(tmp_path: Path, amo: AmoCRM) -> Account:
    account = Account(tmp_path, port=int(amo.redirect_uri.split(":")[2].partition("/")[0]))
    account.amo = amo
    account.connect(amo)
    return account


def come_back(account: Account, **changes: str) -> requests.Response:
    """The browser at the redirect link."""
    query = {key: value for key, value in (account.amo.callback_query() | changes).items() if value}
    return requests.get(f"{account.url}/amocrm/acme/callback", params=query, timeout=10)


def bound(account: Account) -> str | None:
    return account_key(account.deployment.database, account.state().id)


EVIL = [
    "evil.com",
    "amocrm.ru.evil.com",
    "evil.amocrm.ru.evil.com",
    "evilamocrm.ru",
    "a.b.amocrm.ru",
    "user@shop.amocrm.ru",
    "shop.amocrm.ru@evil.com",
    "shop.amocrm.ru:8443",
    "shop.amocrm.ru/evil",
    "shop.amocrm.ru?x=1",
    "shop.amocrm.ru#x",
    "https://shop.amocrm.ru",
    "shop.amocrm.ru\n",
    "www.amocrm.ru",
    "-.amocrm.ru",
    "127.0.0.1",
    "127.0.0.2:80",
    "[::1]:80",
    "",
]


def test_the_panel_leads_to_the_consent_and_its_answer_home(unconnected: Account, amo: AmoCRM) -> None:
    """The state is long, for one use, and of this connection; the secret goes to no other host than an account's."""
    with unconnected as account:
        browser = signed_in(account)
        page = browser.get(f"{account.url}/connections/acme").text
        assert "/amocrm/acme/callback" in page
        assert "/amocrm/acme/connect" in page
        sent = browser.get(f"{account.url}/amocrm/acme/connect", allow_redirects=False)
        there = urlsplit(sent.headers["Location"])
        asked = parse_qs(there.query)
        assert (sent.status_code, f"{there.scheme}://{there.netloc}{there.path}") == (
            302,
            "https://www.amocrm.ru/oauth",
        )
        assert asked["client_id"] == [amo.client_id]
        [state] = asked["state"]
        assert len(state) >= 32
        kommo = browser.get(f"{account.url}/amocrm/acme/connect?site=kommo.com", allow_redirects=False)
        assert kommo.headers["Location"].startswith("https://www.kommo.com/oauth?")
        assert browser.get(f"{account.url}/amocrm/acme/connect?site=evil.com").status_code == 404
        stranger = requests.get(f"{account.url}/amocrm/acme/connect", allow_redirects=False, timeout=5)
        assert "amocrm.ru" not in stranger.headers["Location"]
        for wrong in ("", "x" * 43, state[:-1]):
            assert come_back(account, state=wrong).status_code == 403
        account.deployment.connections.add("other", "amocrm", {"amocrm_client_id": amo.client_id})
        other = requests.get(f"{account.url}/amocrm/other/callback", params=amo.callback_query(state=state), timeout=5)
        assert (other.status_code, amo.asked("POST", TOKEN_PATH)) == (403, [])
        done = come_back(account, state=state)
        assert done.status_code == 200
        assert "Крамниця" in done.text
        assert bound(account) == str(amo.account_id)
        assert come_back(account, state=state).status_code == 403
        denied = {"error": "access_denied", "client_id": amo.client_id, "code": "", "referer": ""}
        assert come_back(account, state=account_state(browser, account), **denied).status_code == 403
        for evil in EVIL:
            assert come_back(account, state=account_state(browser, account), referer=evil).status_code == 400, evil
            assert come_back(account, from_widget="1", referer=evil).status_code == 400, evil
        assert len(amo.asked("POST", TOKEN_PATH)) == 1
        assert bound(account) == str(amo.account_id)


def signed_in(account: Account) -> requests.Session:
    """A browser in which an administrator of ours is signed in."""
    here = account.deployment
    link = make_sign_in_link(here.database, create_user(here.database, "boss", "admin"))
    browser = requests.Session()
    page = browser.get(f"{account.url}/sign-in/{link}", timeout=5).text
    assert browser.post(f"{account.url}/sign-in/{link}", data={"csrf_token": csrf_in(page)}, timeout=5).ok
    return browser


def csrf_in(page: str) -> str:
    return page.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]


def account_state(browser: requests.Session, account: Account) -> str:
    sent = browser.get(f"{account.url}/amocrm/acme/connect", allow_redirects=False)
    return parse_qs(urlsplit(sent.headers["Location"]).query)["state"][0]


def test_an_installation_from_within_binds_only_with_a_proof(unconnected: Account, amo: AmoCRM) -> None:
    """A stranger's account with a genuine code gets no calls; a user of the account proves it by a token."""
    with (
        unconnected as account,
        AmoCRM(
            client_id=amo.client_id, client_secret=amo.client_secret, redirect_uri=amo.redirect_uri, account_id=666
        ) as stranger,
    ):
        with amo.faults.always("POST", TOKEN_PATH, Fault.latency(1)):
            for each in (stranger, amo):
                began = time.monotonic()
                query = each.callback_query(from_widget="1")
                answer = requests.get(f"{account.url}/amocrm/acme/callback", params=query, timeout=5)
                assert (answer.status_code, time.monotonic() - began < 3) == (200, True)
            account.work()
            account.play(CLIENT, LINE)
            saved = requests.post(
                f"{account.url}/amocrm/acme/settings",
                json={"users": {"8": "101"}},
                headers={"X-Auth-Token": amo.disposable_token(7), "Origin": amo.url},
                timeout=10,
            )
        assert (saved.status_code, saved.json()) == (200, {"saved": 1})
        assert bound(account) == str(amo.account_id)
        wait_for(lambda: amo.calls)
        assert stranger.calls == []
        refused = requests.get(
            f"{account.url}/amocrm/acme/calls", headers={"X-Auth-Token": stranger.disposable_token(7)}, timeout=5
        )
        assert refused.status_code == 401


def test_strangers_codes_cost_little(unconnected: Account, amo: AmoCRM) -> None:
    """Anybody may send them: amoCRM hears of a few, and the newest ones are kept."""
    with unconnected as account:
        assert come_back(account, from_widget="1", client_id="", code="x").status_code == 403
        for each in range(30):
            assert come_back(account, from_widget="1", code=f"invented-{each}").status_code == 200
        assert come_back(account, from_widget="1").status_code == 200
        account.work()
        wait_for(lambda: len(amo.asked("POST", TOKEN_PATH)) == 3)
        wait_for(lambda: offers_of(account.deployment.database, account.state().id))
        time.sleep(1.5)
        assert len(amo.asked("POST", TOKEN_PATH)) == 3
        amo.violations.clear()


def test_an_administrator_accepts_an_installation_in_the_panel(unconnected: Account, amo: AmoCRM) -> None:
    with unconnected as account:
        come_back(account, from_widget="1")
        account.work()
        browser = signed_in(account)
        page = wait_for(lambda: _with_offer(browser, account))
        form = {"csrf_token": csrf_in(page), "account": str(amo.account_id)}
        browser.post(f"{account.url}/connections/acme/accept", data=form)
        assert bound(account) == str(amo.account_id)


def _with_offer(browser: requests.Session, account: Account) -> str | None:
    page = browser.get(f"{account.url}/connections/acme").text
    return page if "/connections/acme/accept" in page else None


def test_a_long_lived_token_needs_no_consent(unconnected: Account, amo: AmoCRM) -> None:
    with unconnected as account:
        account.set(amocrm_long_lived_token=amo.long_lived_token(), amocrm_domain=amo.address)
        account.work()
        wait_for(lambda: bound(account) == str(amo.account_id))
        account.play(CLIENT, LINE)
        wait_for(lambda: amo.calls)
        with AmoCRM(account_id=666) as other:
            account.set(amocrm_long_lived_token=other.long_lived_token(), amocrm_domain=other.address)
            time.sleep(1.1)
            assert [each for each in account.check() if "another account" in each.text and each.status == "error"]
            account.play(CLIENT, LINE)
            wait_for(lambda: account.state().paused)
            assert "another account" in (account.state().paused_reason or "")
            assert other.calls == []
        account.set(amocrm_long_lived_token=amo.long_lived_token(), amocrm_domain=amo.address)
        wait_for(lambda: len(amo.calls) == 2)
        amo.revoke()
        account.play(CLIENT, LINE)
        wait_for(lambda: account.state().paused)
        assert amo.asked("POST", TOKEN_PATH) == []


def test_the_hook_of_a_revoked_access_is_believed_only_where_it_is_true(account: Account, amo: AmoCRM) -> None:
    hook = f"{account.url}/amocrm/acme/uninstalled"
    genuine = amo.uninstall_query()
    forged: list[dict[str, str]] = [
        {},
        genuine | {"signature": "0" * 64},
        genuine | {"client_uuid": "another"},
        genuine | {"account_id": "1"},
        {key: value for key, value in genuine.items() if key != "signature"},
    ]
    for query in forged:
        assert requests.get(hook, params=query, timeout=5).status_code == 403
    assert requests.get(hook, params=genuine, timeout=5).status_code == 200
    assert not account.state().paused
    amo.expire()
    assert requests.get(hook, params=genuine, timeout=5).status_code == 200
    assert not account.state().paused
    amo.expire()
    with amo.faults.always("POST", TOKEN_PATH, Fault.latency(3)):
        began = time.monotonic()
        assert requests.get(hook, params=genuine, timeout=5).status_code == 200
        assert time.monotonic() - began < 2.5
    assert not account.state().paused
    amo.revoke()
    for _ in range(2):
        assert requests.get(hook, params=genuine, timeout=5).status_code == 200
    wait_for(lambda: account.state().paused)
    assert account.state().paused_by == "connector"
    account.play(CLIENT, LINE)
    assert account.sign_in(amo).status_code == 200
    wait_for(lambda: amo.calls)


def test_another_crm_begins_anew(account: Account, amo: AmoCRM) -> None:
    """Its tokens are not sent to the former CRM's account, nor is it refused for another account's sake."""
    account.deployment.connections.set("acme", {"crm": "journal"})
    assert bound(account) is None
    account.deployment.connections.set("acme", {"crm": "amocrm"})
    with AmoCRM(
        client_id=amo.client_id, client_secret=amo.client_secret, redirect_uri=amo.redirect_uri, account_id=9
    ) as other:
        assert account.sign_in(other).status_code == 200
    assert bound(account) == "9"


def test_two_consents_at_once_bind_one_account(unconnected: Account, amo: AmoCRM) -> None:
    with (
        unconnected as account,
        AmoCRM(
            client_id=amo.client_id, client_secret=amo.client_secret, redirect_uri=amo.redirect_uri, account_id=666
        ) as other,
    ):
        threads = [threading.Thread(target=account.sign_in, args=(each,)) for each in (amo, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bound(account) in {str(amo.account_id), "666"}
        late = amo if bound(account) == "666" else other
        assert account.sign_in(late).status_code == 403
