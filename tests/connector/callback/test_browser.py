"""The button in a real Chromium, on a page of another origin with a strict policy of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request

from tests.browsers import needs_browser, uncomplaining
from tests.connector.callback.conftest import Button
from tests.running import wait_for

pytestmark = needs_browser

PAGE = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Shop</title><h1>Shop</h1><a id="link" href="tel:+380441234567" data-evrotel-callback>Call</a>
<script src="/queue.js"></script><script async src="{script}" {attributes}></script></html>"""
QUEUE = """window.EvrotelCallback = window.EvrotelCallback || function () {
  (EvrotelCallback.q = EvrotelCallback.q || []).push(arguments); };
window.seen = [];
["ready", "open", "requested", "calling", "connected", "scheduled", "close", "failed"].forEach(function (name) {
  EvrotelCallback("on", name, function (detail) { seen.push(name); }); });"""

STRANGE = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("body > *, div:empty { display: none !important; transform: scale(0.1); opacity: 0 }");
  document.adoptedStyleSheets = [sheet];
  document.addEventListener("keydown", (event) => { if (/[0-9]/.test(event.key)) event.preventDefault(); });
}"""


class Shop:
    """A site on a port of its own, which is another origin."""

    def __init__(self, button: Button) -> None:
        shop = self
        self.attributes, self.lang = "", "uk"

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_script = self.path == "/queue.js"
                page = PAGE.format(lang=shop.lang, script=f"{button.url}/callback/acme.js", attributes=shop.attributes)
                self.send_response(200 if is_script or "favicon" not in self.path else 204)
                kind = "text/javascript" if is_script else "text/html; charset=utf-8"
                policy = f"default-src 'none'; script-src 'self' {button.url}; connect-src {button.url}; "
                policy += "require-trusted-types-for 'script'"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write((QUEUE if is_script else page).encode())

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


@pytest.fixture
def shop(button: Button) -> Iterator[Shop]:
    shop = Shop(button)
    button.set(callback_origins=shop.url, callback_phone="+380 44 123 45 67")
    yield shop
    shop.server.shutdown()
    shop.server.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A phone of 320 pixels; the page reports no error and no breach of its policy."""
    with uncomplaining(browser, viewport={"width": 320, "height": 560}, reduced_motion="reduce") as context:
        page = context.new_page()
        yield page
        assert context.cookies() == []
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def focused(page: Page) -> Any:
    return page.evaluate(
        "() => { let at = document.activeElement; while (at.shadowRoot) at = at.shadowRoot.activeElement;"
        " return at.id || at.className || at.tagName; }"
    )


def test_by_keyboard_a_visitor_asks_is_called_and_knows_each_step(button: Button, shop: Shop, page: Page) -> None:
    button.apps.exchange.ring_seconds = 2.0  # type: ignore[union-attr]  # the fixture gives one
    loaded: list[Request] = []
    page.on("request", lambda each: loaded.append(each))  # noqa: PLW0108 - playwright notes something on a function
    page.goto(f"{shop.url}/?utm_source=ads")
    launcher = page.locator("[data-evrotel-callback-button] button")
    launcher.wait_for()
    assert not any("form" in each.url for each in loaded)  # it comes when somebody is about to need it
    assert min(launcher.bounding_box().values()) >= 0  # type: ignore[union-attr]  # it is shown
    assert launcher.bounding_box()["height"] >= 44  # type: ignore[index]  # as above
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#phone").wait_for()
    assert page.locator("dialog").get_attribute("aria-labelledby") == "title"
    assert focused(page) == "phone"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.keyboard.press("Enter")
    assert "номер" in page.locator("#phone-error").inner_text()
    assert page.locator("#phone").get_attribute("aria-describedby") == "phone-error"
    page.keyboard.type("067 123 45 67")
    page.keyboard.press("Enter")
    page.locator(".timer").wait_for()
    status = page.locator("dialog > [role=status]").first
    assert "оператор" in status.inner_text()
    button.work()
    wait_for(lambda: page.evaluate("seen.includes('connected')"))
    assert button.dialled()[0]["numberB"] == "380671234567"
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert focused(page) == "BUTTON"
    [loader, form] = [each for each in loaded if each.resource_type == "script" and each.url.startswith(button.url)]
    assert loader.sizes()["responseBodySize"] <= 5 * 1024  # compressed, as it came
    assert form.sizes()["responseBodySize"] <= 10 * 1024
    wait_for(lambda: page.evaluate("seen.includes('close')"))  # a dialog tells of its end in a task of its own
    assert page.evaluate("seen") == ["ready", "open", "requested", "calling", "connected", "close"]


def test_its_looks_are_the_site_s_and_a_link_opens_it(button: Button, shop: Shop, page: Page) -> None:
    shop.lang = "ru"
    shop.attributes = (
        'data-color="#ffd500" data-position="left-top" data-z="7" data-text-title="Позвоним!" data-phone="112"'
    )
    button.set(callback_hours="Mon 00:00-00:01", callback_consent_url="https://shop.example/policy")
    page.goto(shop.url)
    launcher = page.locator("[data-evrotel-callback-button] button")
    looks = "(at) => { const s = getComputedStyle(at); return [s.color, s.backgroundColor, s.left, s.top, s.zIndex] }"
    style = launcher.evaluate(looks)
    assert style == ["rgb(0, 0, 0)", "rgb(255, 213, 0)", "20px", "20px", "7"]
    page.click("#link")
    page.locator("#phone").wait_for()
    assert page.locator("#title").inner_text() == "Позвоним!"
    assert not page.locator("#agree").is_checked()
    page.fill("#phone", "+380671234567")
    page.click(".main")
    assert page.locator("#agree-error").inner_text() != ""
    page.check("#agree")
    page.click(".main")
    wait_for(lambda: page.evaluate("seen.includes('scheduled')"))
    assert page.locator("dialog .tel a").get_attribute("href") == "tel:112"


def test_another_site_does_not_show_it(button: Button, shop: Shop, page: Page) -> None:
    button.set(callback_origins="https://elsewhere.example")
    with page.expect_console_message(lambda said: "callback_origins" in said.text):
        page.goto(shop.url)
    assert page.locator("[data-evrotel-callback-button]").count() == 0
    assert page.locator("#link").get_attribute("href") == "tel:+380441234567"


def test_a_page_with_ways_of_its_own_leaves_it_usable(button: Button, shop: Shop, page: Page) -> None:
    """Styles for whatever it has, keys of its own, and another body where it was not loaded anew."""
    page.goto(shop.url)
    page.locator("[data-evrotel-callback-button] button").wait_for()
    page.evaluate(STRANGE)
    launcher = page.locator("[data-evrotel-callback-button] button")
    for _ in range(2):
        launcher.click()
        page.locator("#phone").wait_for()
        page.locator("#phone").fill("")
        page.keyboard.type("0671234567")
        assert page.locator("#phone").input_value() == "0671234567"
        page.evaluate("document.body.replaceWith(document.createElement('body'))")


def test_at_the_end_of_the_time_it_says_so_and_offers_another_time(button: Button, shop: Shop, page: Page) -> None:
    button.set(callback_countdown="10")
    page.clock.install()
    page.goto(shop.url)
    page.evaluate("EvrotelCallback('open', {phone: '0671234567'})")
    page.locator(".main").click()
    page.locator(".timer").wait_for()
    page.clock.run_for(11_000)
    page.locator("dialog button.plain").wait_for()
    assert page.locator("dialog").is_visible()
    page.locator("dialog button.plain").click()
    page.locator("#when").wait_for()


def test_without_an_answer_it_says_so_and_names_the_phone(button: Button, shop: Shop, browser: Browser) -> None:
    """Its page complains of the failed request, as it should."""
    page = browser.new_context(locale="uk-UA").new_page()
    page.goto(shop.url)
    page.route("**/callback/acme/form?*", lambda route: route.abort())
    page.click("#link")
    page.locator("dialog button.plain").wait_for()
    assert "сервер" in page.locator("dialog > [role=status]").first.inner_text()
    assert page.locator("dialog .tel a").get_attribute("href") == "tel:+380441234567"
    page.context.close()
