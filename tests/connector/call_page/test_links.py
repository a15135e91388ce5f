"""What people copy into their documents, and numbers of any page that become links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from connector.call_page.formulas import SPREADSHEETS, cell_or_first, formula, link_to, word_field
from connector.call_page.scripts import bookmarklet
from connector.panel.signin import create_user, make_sign_in_link
from tests.browsers import needs_browser
from tests.emulators.http import Loopback, Response
from tests.served import ServedHere

LINK = "https://pbx.example/call/shop?n="


def test_formulas_are_written_as_each_program_reads_them() -> None:
    made = {sheet.slug: formula(sheet, LINK, "B7") for sheet in SPREADSHEETS}
    assert made["excel-en"] == f'=HYPERLINK("{LINK}"&SUBSTITUTE(SUBSTITUTE(B7," ",""),"+","00"),"☎ "&B7)'
    assert made["excel-uk"] == f'=HYPERLINK("{LINK}"&SUBSTITUTE(SUBSTITUTE(B7;" ";"");"+";"00");"☎ "&B7)'
    assert made["excel-ru"] == f'=ГИПЕРССЫЛКА("{LINK}"&ПОДСТАВИТЬ(ПОДСТАВИТЬ(B7;" ";"");"+";"00");"☎ "&B7)'
    assert made["sheets-comma"] == made["excel-en"]
    assert all(len(text) < 255 for text in made.values())


def test_links_and_cells() -> None:
    assert link_to("https://pbx.example", "shop", "+380671234567") == f"{LINK}%2B380671234567"
    assert word_field(LINK) == f'{{ HYPERLINK "{LINK}{{ MERGEFIELD Phone }}" }}'
    assert [cell_or_first(given) for given in ("b7", " $C$3 ", "", '")&evil', "A0", "с4")] == [
        *("B7", "$C$3", "A2", "A2", "A2", "C4")
    ]  # the last one is typed in Cyrillic


class Site(ServedHere):
    """A journal's connection, and one user who is signed in by a link."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.connection = self.deployment.connections.add("acme", "journal", {})
        self.user = create_user(self.deployment.database, "olena", "admin", None, None)

    def sign_in(self, page: Page) -> None:
        page.goto(f"{self.url}/sign-in/{make_sign_in_link(self.deployment.database, self.user)}")
        page.locator("main form button").click()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        yield site


def test_the_app_and_its_script_are_there_for_everybody(site: Site) -> None:
    client = requests
    manifest = client.get(f"{site.url}/call/acme/app.webmanifest", timeout=10)
    assert manifest.headers["Content-Type"].startswith("application/manifest+json")
    assert manifest.json()["protocol_handlers"] == [{"protocol": "tel", "url": "/call/acme?uri=%s"}]
    for icon in manifest.json()["icons"]:
        answer = client.get(site.url + icon["src"], timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, icon["type"])
    assert f"{site.url}/call/acme?n=" in client.get(f"{site.url}/call/acme/numbers.js", timeout=10).text
    assert client.get(f"{site.url}/call/nobody/numbers.js", timeout=10).status_code == 404


INTRANET = """<!doctype html><meta charset="utf-8">
<p id="one">Olena: 067 123-45-67, order 1234567890123, date 2026-11-25 10:00:00</p>
<p id="two">Call <b>+380 (50) 111 22 33</b> or <a href="tel:+380441234567">us</a> <a href="/x">0671234567</a></p>
<input value="0671234567"><pre>0671234567</pre><p contenteditable>0671234567</p><div id="later"></div>"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A page of somebody else, whose policy lets in no script of ours."""
    policy = {"Content-Security-Policy": "script-src 'none'"}
    server = Loopback(lambda _: Response(INTRANET.encode(), headers=policy))
    server.listen()
    yield server.url
    server.close()


def numbers_of(page: Page) -> list[str]:
    links = page.locator("a[data-evrotel-number]")
    return [unquote(str(href)).partition("?n=")[2] for href in links.evaluate_all("all => all.map(each => each.href)")]


@pytest.mark.browser
@needs_browser[1]
def test_a_bookmark_makes_numbers_clickable_and_undoes_it(browser: Browser, elsewhere: str) -> None:
    page = browser.new_page()
    page.goto(elsewhere)
    before = page.locator("body").inner_html()
    code = unquote(bookmarklet(LINK).removeprefix("javascript:"))
    page.evaluate(code)
    assert numbers_of(page) == ["0671234567", "+380501112233", "+380441234567"]
    expect(page.locator("#one a")).to_have_text("067 123-45-67")
    expect(page.locator("#one a")).to_have_attribute("href", f"{LINK}0671234567")
    page.evaluate("document.getElementById('later').innerHTML = '<i>093 765 43 21</i>'")
    expect(page.locator("#later a")).to_have_attribute("href", f"{LINK}0937654321")
    page.evaluate("document.getElementById('later').innerHTML = ''")
    page.evaluate(code)
    assert numbers_of(page) == []
    assert page.locator("body").inner_html() == before
    page.evaluate(code)
    assert len(numbers_of(page)) == 3
    page.close()


SPELLINGS = """<!doctype html><meta charset="utf-8">
<p>380671234567</p><p>8 067 123 45 67</p><p>067&nbsp;123&ndash;45&ndash;67</p><p>0 800 500 500</p>
<p>тел.067 12 34 567</p>
<p>+380671234567 1500 UAH</p><p>+48 22 123 45 67</p><p>0671234567/0501234567</p>
<p>12.0671234567</p><p>01.02.2026 10:20</p><p>4149 4390 1234 5678</p><p>ID0671234567</p>
<a href="tel:%">broken</a><a href="tel:112">emergency</a>
<a href="tel:+380671234567;ext=12">reception</a><a href="TEL:067%20123%2045%2067">shop</a>
<div contenteditable><a href="tel:0671234567">a draft</a></div>"""


@pytest.mark.browser
@needs_browser[1]
def test_numbers_are_found_as_people_write_them_and_nothing_else(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(SPELLINGS)
    page.evaluate(unquote(bookmarklet(LINK).removeprefix("javascript:")))
    assert numbers_of(page) == [
        *("380671234567", "80671234567", "0671234567", "0800500500", "0671234567", "+380671234567", "+48221234567"),
        *("0671234567", "0501234567", "+380671234567", "0671234567"),
    ]
    page.close()


@pytest.mark.browser
@needs_browser[1]
def test_a_page_that_holds_on_to_its_texts_keeps_them(browser: Browser) -> None:
    """As React does: it changes and removes the text nodes that it has made."""
    page = browser.new_page()
    page.set_content("<p id=one></p>")
    page.evaluate("window.text = document.createTextNode('Call 067 123 45 67 now'); one.append(text, '!')")
    page.evaluate(unquote(bookmarklet(LINK).removeprefix("javascript:")))
    page.evaluate("text.nodeValue = 'Call 050 111 22 33 now'")
    expect(page.locator("#one")).to_have_text("Call 050 111 22 33 now!")
    assert numbers_of(page) == ["0501112233"]
    page.evaluate("one.removeChild(text)")
    expect(page.locator("#one")).to_have_text("!")
    page.evaluate("one.prepend(text)")
    expect(page.locator("#one a")).to_have_text("050 111 22 33")
    expect(page.locator("#one")).to_have_text("Call 050 111 22 33 now!")
    page.close()


@pytest.mark.browser
@needs_browser[1]
def test_a_long_page_is_quick(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<ul>" + "<li>Olena 067 123-45-67 <b>text</b></li>" * 5000 + "</ul>")
    page.evaluate(unquote(bookmarklet(LINK).removeprefix("javascript:")))
    assert page.locator("a[data-evrotel-number]").count() == 5000
    page.close()


@pytest.mark.browser
@needs_browser[1]
def test_the_page_of_links_copies_changes_and_makes_us_the_phone_app(site: Site, browser: Browser) -> None:
    context = browser.new_context(locale="en", viewport={"width": 600, "height": 900})
    page = context.new_page()
    page.add_init_script("window.asked = []; navigator.registerProtocolHandler = (...all) => asked.push(all)")
    site.sign_in(page)
    page.goto(f"{site.url}/links/acme")
    assert page.evaluate("document.documentElement.scrollWidth") <= 600
    expect(page.get_by_label("Excel in English")).to_have_value(
        f'=HYPERLINK("{site.url}/call/acme?n="&SUBSTITUTE(SUBSTITUTE(A2," ",""),"+","00"),"☎ "&A2)'
    )
    page.get_by_label("The first number is in the cell").fill("c5")
    page.get_by_label("The first number is in the cell").press("Enter")
    expect(page.get_by_label("Excel in Russian")).to_have_value(re.compile("C5"))
    page.get_by_role("button", name="Open tel: links by us").click()
    asked: list[Any] = page.evaluate("asked")
    assert asked == [["tel", f"{site.url}/call/acme?uri=%s"]]
    assert str(page.locator("#bookmark").get_attribute("href")).startswith("javascript:")
    context.close()


@pytest.mark.browser
@needs_browser[1]
def test_a_key_is_shown_once_and_ended(site: Site, browser: Browser) -> None:
    context = browser.new_context(locale="en")
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    site.sign_in(page)
    page.goto(f"{site.url}/connections/acme/keys")
    page.get_by_label("What it is for").fill("the shop")
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_label("The new key").input_value()
    assert key.startswith("evc_")
    url = f"{site.url}/api/v1/connections/acme/calls"
    headers = {"Authorization": f"Bearer {key}"}
    assert context.request.get(url, headers=headers).status == 200
    page.goto(f"{site.url}/connections/acme/keys")
    assert key not in page.content()
    expect(page.get_by_role("row").filter(has_text="the shop")).to_contain_text(key[:9])
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row").filter(has_text="the shop")).to_contain_text("Revoked")
    assert context.request.get(url, headers=headers).status == 401
    context.close()
