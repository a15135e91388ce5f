"""A link in a document: looking at it calls nobody; its page signs in and dials without leading elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Page, expect
from sqlalchemy.exc import OperationalError

from connector.call_page import views
from connector.panel.signin import create_user, set_password
from tests.browsers import needs_browser, uncomplaining
from tests.emulators.evrotel import Exchange, WebApps
from tests.running import wait_for
from tests.served import ServedHere

PASSWORD = "correct horse battery"
OFFICE = (
    "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
    "Microsoft Office Existence Discovery",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
)


class Links(ServedHere):
    """A journal's connection whose account is emulated, and its panel's users."""

    def __init__(self, folder: Path, apps: WebApps) -> None:
        super().__init__(folder, evrotel_api_url=apps.url)
        self.apps = apps
        values = {"evrotel_token": apps.token, "evrotel_billcode": apps.billcode}
        self.connection = self.deployment.connections.add("acme", "journal", values)

    def add_user(self, name: str, role: str = "agent", extension: str | None = "101", **values: Any) -> int:
        of = values.get("connection_id", self.connection.id if role != "admin" else None)
        user_id = create_user(self.deployment.database, name, role, of, extension)
        set_password(self.deployment.database, user_id, PASSWORD)
        return user_id

    def link(self, number: str = "%2B380671234567", **more: str) -> str:
        return f"{self.url}/call/acme?n={number}" + "".join(f"&{key}={value}" for key, value in more.items())

    @property
    def dialled(self) -> list[Any]:
        return [each.content for each in self.apps.requests if each.path == "/webapp/"]


@pytest.fixture
def links(tmp_path: Path) -> Iterator[Links]:
    with WebApps() as apps, Links(tmp_path, apps) as served:
        served.add_user("olena")
        yield served


class Form(HTMLParser):
    """The fields of the form that has a button with these words."""

    def __init__(self, page: str, words: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        form = next(found for found in re.findall(r"<form.*?</form>", page, re.DOTALL) if words in found)
        self.feed(form)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") != "checkbox":
            self.fields[given.get("name") or ""] = given.get("value") or ""


class Person:
    """A browser without scripts: follows the page's forms, in English."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.headers["Accept-Language"] = "en"
        self.page = ""
        self.url = ""

    def open(self, url: str) -> requests.Response:
        self.url = url
        return self._kept(self.session.get(url, allow_redirects=False, timeout=10))

    def send(self, words: str, **values: str) -> requests.Response:
        fields = Form(self.page, words).fields | values
        return self._kept(self.session.post(self.url, data=fields, allow_redirects=False, timeout=30))

    def sign_in(self, name: str = "olena") -> requests.Response:
        return self.send("Sign in", name=name, password=PASSWORD)

    def _kept(self, answer: requests.Response) -> requests.Response:
        self.page = answer.text
        return answer


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.mark.parametrize("agent", OFFICE)
def test_looking_at_a_link_calls_nobody_and_leads_nowhere(links: Links, agent: str) -> None:
    for method in ("HEAD", "OPTIONS", "GET", "GET"):
        answer = requests.request(
            method, links.link(), headers={"User-Agent": agent}, allow_redirects=False, timeout=10
        )
        assert answer.status_code == 200
        assert "Location" not in answer.headers
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
        if method != "OPTIONS":
            assert answer.headers["Content-Type"].startswith("text/html")
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"
    assert links.dialled == []


def test_a_person_signs_in_in_place_and_calls_from_their_phone(links: Links, person: Person) -> None:
    assert person.open(links.link(name="Olena%20Client")).status_code == 200
    assert "Olena Client" in person.page
    signed_in = person.sign_in()
    assert (signed_in.status_code, signed_in.history) == (200, [])
    assert links.dialled == []
    called = person.send("Call from 101")
    assert called.status_code == 200
    assert "Pick up your phone (101)" in called.text
    assert links.dialled == [{"billcode": "20558", "numberA": ["101"], "numberB": "380671234567", "routing": "rand"}]


def test_a_form_that_is_sent_twice_dials_once_and_the_same_number_asks_again(links: Links, person: Person) -> None:
    person.open(links.link())
    person.sign_in()
    page = person.page
    assert person.send("Call from 101").status_code == 200
    person.page = page
    assert "Pick up your phone" in person.send("Call from 101").text  # reloaded
    assert len(links.dialled) == 1
    person.open(links.link("0671234567"))
    asked = person.send("Call from 101")
    assert asked.status_code == 409
    assert "just called" in asked.text
    assert len(links.dialled) == 1
    assert person.send("Call again").status_code == 200
    assert len(links.dialled) == 2


def test_a_link_that_is_opened_many_times_at_once_calls_once(links: Links, person: Person) -> None:
    person.open(links.link())
    person.sign_in()
    fields = Form(person.page, "Call from 101").fields
    tabs = [fields | {"nonce": f"tab-number-{number}"} for number in range(8)]
    with ThreadPoolExecutor(len(tabs)) as pool:
        answers = list(pool.map(lambda tab: person.session.post(person.url, data=tab, timeout=30).status_code, tabs))
    assert sorted(answers) == [200] + [409] * 7
    assert len(links.dialled) == 1


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("380671234567", "380671234567"),
        ("0671234567", "380671234567"),
        (" 380671234567", "380671234567"),
        ("%20067%20123-45-67", "380671234567"),
        ("tel%3A%2B380671234567", "380671234567"),
        ("tel%3A067%2520123%252045%252067", "380671234567"),
        ("%2B1%20201%20555%200123", "12015550123"),
        ("+3725551234", "3725551234"),
        ("0671234567%20%D0%B4%D0%BE%D0%B1.%2012", "380671234567"),
        ("067123456", None),
        ("101", None),
        ("", None),
        ("nobody", None),
        ("%00", None),
    ],
)
def test_numbers_as_documents_have_them(links: Links, person: Person, given: str, number: str | None) -> None:
    opened = person.open(f"{links.url}/call/acme?{'uri' if given.startswith('tel') else 'n'}={given}")
    if given == "%00":
        assert opened.status_code == 400
        return
    assert opened.status_code == 200
    person.sign_in()
    if number is None:
        assert "Whom to call?" in person.page
        assert "Call from" not in person.page
        return
    person.send("Call from 101")
    assert [each["numberB"] for each in links.dialled] == [number]


def test_without_a_session_a_token_or_an_extension_nobody_is_called(links: Links, person: Person) -> None:
    person.open(links.link())
    token = Form(person.page, "Sign in").fields
    stranger = requests.post(links.link(), data={"action": "call", "n": "0671234567", "nonce": "a" * 20}, timeout=10)
    assert stranger.status_code == 400  # no token
    assert person.send("Sign in", action="call").status_code == 401
    assert person.send("Sign in", name="olena", password="wrong").status_code == 401
    person.sign_in()
    fields = {"action": "call", "n": "0671234567", "nonce": token["nonce"]}
    old = person.session.post(links.link(), data=fields, timeout=10)
    assert old.status_code == 400  # nor the session's
    assert "The page was too old" in old.text
    assert "+380 67 123 4567" in old.text
    elsewhere = requests.post(f"{links.url}/call/nobody", data=fields, timeout=10)
    assert elsewhere.status_code == 404
    assert links.dialled == []


def test_another_connections_people_and_unknown_connections(links: Links, person: Person) -> None:
    other = links.deployment.connections.add("other", "journal", {})
    links.add_user("petro", connection_id=other.id)
    person.open(links.link())
    assert person.sign_in("petro").status_code == 403
    assert "Call from" not in person.page
    assert person.open(f"{links.url}/call/nobody?n=0671234567").status_code == 404
    assert links.dialled == []


def test_an_admin_says_once_which_phone_is_theirs(links: Links, person: Person) -> None:
    links.add_user("boss", "admin", None)
    person.open(links.link())
    person.sign_in("boss")
    assert "Your own inner number" in person.page
    assert person.send("Keep it", extension="phone").status_code == 422
    assert person.send("Keep it", extension="105").status_code == 200
    person.send("Call from 105")
    assert links.dialled[0]["numberA"] == ["105"]


def test_evrotel_refusing_is_said_with_another_way_to_call(links: Links, person: Person) -> None:
    links.apps.refuse = True
    person.open(links.link())
    person.sign_in()
    refused = person.send("Call from 101")
    assert refused.status_code == 502
    assert "Evrotel refused it." in refused.text
    assert 'href="tel:+380671234567"' in refused.text


def test_a_database_that_cannot_be_written_leaves_the_number_on_the_page(
    links: Links, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.open(links.link())
    person.sign_in()
    broken = Mock(side_effect=OperationalError("INSERT", {}, Exception("database is locked")))
    monkeypatch.setattr(views, "dial_at_once", broken)
    answer = person.send("Call from 101")
    assert answer.status_code == 503
    assert "no clear answer" in answer.text
    assert "Call from 101" in answer.text


def test_the_page_tells_what_becomes_of_the_call(links: Links, person: Person) -> None:
    links.apps.exchange = Exchange(transmitter=links.transmitter(), ring_seconds=0.2)
    person.open(links.link())
    person.sign_in()
    person.send("Call from 101")
    found = re.search(r'data-state="([^"]+)"', person.page)
    assert found is not None
    state = links.url + found.group(1)
    wait_for(lambda: person.session.get(state, timeout=10).json()["over"])
    assert person.session.get(state, timeout=10).json()["text"] == "The call has ended."
    assert requests.get(state, timeout=10).status_code == 401


def sign_in(page: Page) -> None:
    page.get_by_label("Name").fill("olena")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")


@pytest.mark.browser
@needs_browser[1]
def test_in_a_browser_by_keyboard_once_and_from_then_on_at_once(links: Links, browser: Browser) -> None:
    with uncomplaining(browser, locale="en", viewport={"width": 320, "height": 640}) as context:
        page = context.new_page()
        page.goto(links.link())
        sign_in(page)
        expect(page.get_by_role("button", name="Call from 101")).to_be_focused()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.get_by_role("button", name="Call from 101").press("Enter")
        expect(page.get_by_role("status").filter(has_text="Pick up your phone")).to_be_visible()
        assert len(links.dialled) == 1
        page.goto(links.link("0501112233"))
        expect(page.get_by_role("status").filter(has_text="Pick up your phone")).to_be_visible()
        assert links.dialled[1]["numberB"] == "380501112233"
        page.goto(page.url)  # as a browser does that opens yesterday's pages
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("heading", name="+380 50 111 2233")).to_be_visible()
        expect(page.get_by_role("button", name="Call from 101")).to_be_visible()
        page.goto(links.link("%2B12015550123"))  # not a usual number: it asks
        expect(page.get_by_role("button", name="Call from 101")).to_be_visible()
        assert len(links.dialled) == 2


@pytest.mark.browser
@needs_browser[1]
def test_no_other_page_shows_it_in_a_frame_or_opens_it_by_itself(links: Links, browser: Browser) -> None:
    context = browser.new_context(locale="en")
    page = context.new_page()
    page.goto(links.link())
    sign_in(page)
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Call from 101").click()
    expect(page.get_by_role("status").filter(has_text="Pick up")).to_be_visible()
    pages = {"/": "<p>a shop</p>", "/away": f"<script>location = {links.link('0501112233')!r}</script>"}
    context.route(
        "http://shop.example/**",
        lambda route: route.fulfill(body=pages[urlsplit(route.request.url).path], content_type="text/html"),
    )
    elsewhere, framing = context.new_page(), context.new_page()
    elsewhere.goto("http://shop.example/away", wait_until="commit")
    expect(elsewhere.get_by_role("button", name="Call from 101")).to_be_visible()
    framing.goto("http://shop.example/")
    framing.evaluate(
        "link => { document.body.innerHTML = '<iframe>'; document.querySelector('iframe').src = link; }",
        links.link("0501112233"),
    )
    # Chromium shows an error of its own instead; asking it something lets its events come in.
    wait_for(lambda: framing.evaluate("1") and framing.frames[-1].url.startswith("chrome-error:"))
    assert len(links.dialled) == 1
    context.close()
