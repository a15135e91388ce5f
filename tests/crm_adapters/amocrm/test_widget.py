"""The widget: what is in its archive, and what it does on amoCRM's page in a real browser."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import jwt
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from crm_adapters.amocrm.archive import widget_archive, widget_version
from tests.browsers import needs_browser
from tests.crm_adapters.amocrm.widget_page import SECRET, Doors, ServedPage, WidgetPage, disposable_token
from tests.emulators.http import wait_until

SHOTS = os.environ.get("SCREENSHOTS")
SIZES = {
    "logo_main": (400, 272),
    "logo_small": (108, 108),
    "logo": (130, 100),
    "logo_medium": (240, 84),
    "logo_min": (84, 84),
}
LOCALES = ("ru", "en", "uk")


def packed(base_url: str = "https://calls.example.com", connection: str = "sales") -> dict[str, bytes]:
    archive = widget_archive(base_url=base_url, connection=connection, version="1.261126.1105")
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def texts(files: dict[str, bytes], locale: str) -> dict[str, dict[str, str]]:
    read: dict[str, dict[str, str]] = json.loads(files[f"i18n/{locale}.json"])
    return read


# -- the archive -------------------------------------------------------------------------------------------------------


def test_the_archive_has_the_files_that_amocrm_asks_for_and_no_folder_around_them() -> None:
    files = packed()
    pictures = {f"images/{name}.png" for name in SIZES}
    assert set(files) == {"manifest.json", "script.js", *(f"i18n/{each}.json" for each in LOCALES), *pictures}
    for name, content in files.items():
        if not name.endswith(".png"):
            assert not content.startswith(b"\xef\xbb\xbf")
            content.decode("utf-8")


@pytest.mark.parametrize("name", SIZES)
def test_the_pictures_have_the_sizes_that_amocrm_asks_for(name: str) -> None:
    picture = packed()[f"images/{name}.png"]
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == SIZES[name]
    assert len(picture) <= 300_000


def test_the_manifest_says_what_the_widget_is_and_where_it_works() -> None:
    manifest = json.loads(packed()["manifest.json"])
    widget = manifest["widget"]
    assert (widget["version"], widget["interface_version"], widget["init_once"]) == ("1.261126.1105", 2, True)
    assert (widget["locale"], widget["installation"]) == (list(LOCALES), True)
    assert set(manifest["locations"]) == {
        "settings", "ccard-1", "comcard-1", "lcard-1", "clist-1", "llist-1", "everywhere"
    }  # fmt: skip
    assert manifest["settings"] == {"extensions": {"name": "settings.extensions", "type": "users", "required": False}}
    assert manifest["tour"] == {"is_tour": False}
    assert not {"code", "secret_key"} & set(widget)


def test_each_text_that_is_named_is_there_in_each_language() -> None:
    files = packed()
    named = set(re.findall(rb'"(\w+\.\w+)"', files["manifest.json"]))
    named = {each for each in named if not each[0:1].isdigit()}
    assert len(named) == 4
    for locale in LOCALES:
        known = texts(files, locale)
        for each in named:
            section, key = each.decode().split(".")
            assert known[section][key]
        assert {section: set(keys) for section, keys in known.items()} == {
            section: set(keys) for section, keys in texts(files, "en").items()
        }
        for section, keys in known.items():
            for key, text in keys.items():
                assert re.findall(r"\{\w+\}", text) == re.findall(r"\{\w+\}", texts(files, "en")[section][key])


def test_the_script_uses_only_texts_that_there_are() -> None:
    files = packed()
    english = texts(files, "en")
    used = re.findall(r"say\('(\w+)', '(\w+)'", files["script.js"].decode())
    assert len(used) > 10
    for section, key in used:
        assert english[section][key]


def test_the_script_knows_its_server_and_no_secret() -> None:
    script = packed("https://calls.example.com/")["script.js"].decode()
    assert '"https://calls.example.com/amocrm/sales"' in script
    assert "@SERVER@" not in script
    assert not re.search(r"secret|client_id|password|Bearer", script, re.IGNORECASE)


@pytest.mark.parametrize(
    ("base_url", "connection"),
    [("javascript:alert(1)", "a"), ("https://a.example?x", "a"), ("//a.example", "a"), ("https://a.example", "a/b")],
)
def test_an_address_that_is_none_makes_no_archive(base_url: str, connection: str) -> None:
    with pytest.raises(ValueError, match="not "):
        widget_archive(base_url=base_url, connection=connection, version="1.0.0")


def test_the_same_arguments_make_the_same_archive() -> None:
    one, two = (widget_archive(base_url="https://a.example", connection="a", version="1.0.0") for _ in range(2))
    assert one == two


def test_a_later_version_is_higher() -> None:
    kyiv = timezone(timedelta(hours=2))
    assert widget_version(datetime(2026, 11, 26, 13, 5, tzinfo=kyiv)) == "1.261126.1105"
    moments = [datetime(2026, 11, 26, tzinfo=UTC) + timedelta(minutes=541 * each) for each in range(200)]
    versions = [[int(part) for part in widget_version(each).split(".")] for each in moments]
    assert versions == sorted(versions)
    assert len({tuple(each) for each in versions}) == len(versions)


# -- on the page -------------------------------------------------------------------------------------------------------


class Desk:
    """An employee's browser with amoCRM's page in it, and our server behind it."""

    def __init__(self, browser: Browser) -> None:
        self.doors = Doors()
        archive = widget_archive(base_url=self.doors.url, connection="default", version="1.0.0")
        self.served = ServedPage(WidgetPage(archive, self._token))
        self.doors.origin = self.served.origin
        self.context = browser.new_context(viewport={"width": 800, "height": 600})
        self.context.set_default_timeout(5000)
        self.errors: list[str] = []
        self.context.on("weberror", lambda error: self.errors.append(str(error.error)))
        self.context.on("console", self._note)
        self._free: list[Page] = []

    def _token(self) -> str:
        return disposable_token(issuer=self.served.origin, audience=self.doors.url)

    def _note(self, said: ConsoleMessage) -> None:
        if said.type == "error" and "Failed to load resource" not in said.text:  # which a refusal is to browsers
            self.errors.append(said.text)

    def open(self, init_script: str = "") -> Page:
        """A tab with the page, once the widget works in it."""
        page = self._free.pop() if self._free and not init_script else self.context.new_page()
        if init_script:
            page.add_init_script(init_script)
        page.goto(self.served.url)
        page.locator("body[data-ready]").wait_for()
        return page

    def poll(self, page: Page) -> None:
        """Asks for calls at once, as the widget does by itself from time to time."""
        page.evaluate("() => amo.widget.poll()")

    def begin(self, **options: Any) -> None:
        """A new test: nothing has been asked and all works; `options` are attributes of the page."""
        # Slow enough to ask only when a test tells it to, but for the first time.
        slow = {"seen": 3_600_000, "hidden": 3_600_000, "most": 3_600_000}
        defaults = {"language": "en", "pace": slow, "missing": (), "keeps_tokens": False}
        vars(self.served.page).update(defaults | options)
        self.doors.reset()
        self.errors.clear()

    def end(self) -> None:
        """Puts the tabs away; fails the test where a page had an error or the server was asked wrongly."""
        self.doors.open.set()
        for number, page in enumerate(self.context.pages):
            page.evaluate("() => { try { localStorage.clear(); } catch (forbidden) {} }")
            page.goto("about:blank")
            if number:
                page.close()
        self._free = self.context.pages[:1]
        assert self.errors == []
        assert self.doors.wrong == []


def told(page: Page) -> list[tuple[str, dict[str, Any]]]:
    """The notifications that the page was asked to show: by which function, with what."""
    return [(each["name"], each["params"]) for each in page.evaluate("amo.told")]


MakeDesk = Callable[..., Desk]


@pytest.fixture(scope="module")
def only_desk(browser: Browser) -> Iterator[Desk]:
    desk = Desk(browser)
    with desk.doors, desk.served:
        yield desk
        desk.context.close()


@pytest.fixture
def make_desk(only_desk: Desk) -> Iterator[MakeDesk]:
    """The desk, set up for a test."""

    def make(**options: Any) -> Desk:
        only_desk.begin(**options)
        return only_desk

    yield make
    only_desk.end()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"widget-{name}.png", full_page=True)


class TestOnThePage:
    """What an employee sees and does."""

    pytestmark = needs_browser

    def test_a_click_dials(self, desk: Desk) -> None:
        page = desk.open()
        page.get_by_role("button", name="+380501112233").click()
        expect(page.get_by_text("Calling +380501112233: your phone will ring.")).to_be_visible()
        shot(page, "dialling")
        [asked] = desk.doors.to("POST click-to-call")
        assert asked.body == {"phone": "+380501112233", "element": {"id": 7, "type": "contacts"}}
        assert (asked.claims["user_id"], asked.claims["iss"]) == (7, desk.served.origin)
        [(name, shown)] = told(page)
        assert (name, shown["type"]) == ("show_notification", "call")
        assert page.evaluate("amo.leaks()") == []

    def test_a_key_dials_and_older_pages_name_cards_differently(self, desk: Desk) -> None:
        page = desk.open()
        page.get_by_role("button", name="+380501112233").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Calling 050 444-55-66")).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(page.get_by_text("Calling 0671234567")).to_be_visible()
        assert [each.body for each in desk.doors.to("POST click-to-call")] == [
            {"phone": "050 444-55-66", "element": {"id": 11, "type": "leads"}},
            {"phone": "0671234567"},
        ]

    def test_a_second_click_while_the_first_is_under_way_does_nothing(self, desk: Desk) -> None:
        page = desk.open()
        desk.doors.open.clear()
        button = page.get_by_role("button", name="+380501112233")
        button.click()
        button.click()
        page.evaluate("() => { amo.action({ value: '+380 (50) 111-22-33' }); }")
        assert wait_until(lambda: desk.doors.to("POST click-to-call"))
        desk.doors.open.set()
        expect(page.get_by_text("Calling +380501112233")).to_have_count(1)
        button.click()  # and afterwards it dials again
        expect(page.get_by_text("Calling +380501112233")).to_have_count(2)
        assert len(desk.doors.to("POST click-to-call")) == 2

    def test_a_refusal_is_shown_with_its_reason(self, make_desk: MakeDesk) -> None:
        desk = make_desk(language="uk")
        page = desk.open()
        desk.doors.answers["POST click-to-call"] = (409, {"error": "У вас немає <b>внутрішнього</b> номера."})
        page.get_by_role("button", name="0671234567").click()
        expect(
            page.get_by_text("Дзвінок на 0671234567 не розпочато: У вас немає <b>внутрішнього</b> номера.")
        ).to_be_visible()
        shot(page, "refused")
        assert told(page)[0][0] == "show_message_error"
        desk.doors.answers["POST click-to-call"] = (502, "a proxy's page")
        page.get_by_role("button", name="0671234567").click()
        expect(page.get_by_text("Конектор Evrotel відповів помилкою 502.")).to_be_visible()

    def test_our_server_away_is_said_and_breaks_nothing(self, make_desk: MakeDesk) -> None:
        desk = make_desk(language="ru", pace={"seen": 10, "hidden": 10, "most": 20})
        page = desk.open()
        desk.doors.http.go_down()
        page.get_by_role("button", name="0671234567").click()
        expect(page.get_by_text("Коннектор Evrotel недоступен.")).to_be_visible()
        before = page.evaluate("amo.polls()")
        page.wait_for_function("(before) => amo.polls() > before + 2", arg=before)
        desk.doors.ring()
        desk.doors.http.listen()
        expect(page.get_by_text("Входящий звонок: Олена, +380501112233")).to_be_visible()

    def test_failures_make_it_ask_less_often(self, make_desk: MakeDesk) -> None:
        desk = make_desk(pace={"seen": 20, "hidden": 20, "most": 10_000})
        desk.doors.answers["GET calls"] = (503, {"error": "later"})
        page = desk.open()
        page.wait_for_function("() => amo.polls() >= 5")
        desk.doors.answers["GET calls"] = (200, {"calls": []})
        page.wait_for_function("() => amo.polls() >= 9")
        gaps = [later - sooner for sooner, later in pairwise(page.evaluate("amo.polls(true)"))]
        assert gaps[-1] < 500  # 20 ms again
        assert all(gap > 35 * 2**number for number, gap in enumerate(gaps[:4]))  # 40, 80, 160 and 320 ms at least

    def test_a_token_shown_again_is_renewed(self, make_desk: MakeDesk) -> None:
        desk = make_desk(keeps_tokens=True)
        page = desk.open()
        for number in ("+380501112233", "0671234567"):
            page.get_by_role("button", name=number).click()
            expect(page.get_by_text(f"Calling {number}")).to_be_visible()
        assert len(desk.doors.to("POST click-to-call")) == 2
        assert len({each.claims["jti"] for each in desk.doors.to("POST click-to-call")}) == 2

    @pytest.mark.parametrize(
        ("entered", "users"),
        [
            ({"7": "101", "8": " 102 ", "9": ""}, {"7": "101", "8": "102"}),
            ('{"7":"101","8":102,"9":null}', {"7": "101", "8": "102"}),
            ([], {}),
            ("", {}),
        ],
    )
    def test_settings_reach_the_server(self, desk: Desk, entered: object, users: dict[str, str]) -> None:
        page = desk.open()
        page.evaluate("(entered) => amo.save({ extensions: entered })", entered)
        assert [each.body for each in desk.doors.to("POST settings")] == [{"users": users}]
        assert told(page) == []

    @pytest.mark.parametrize("away", [False, True])
    def test_settings_that_did_not_arrive_are_saved_in_amocrm_and_the_person_is_told(
        self, desk: Desk, away: bool
    ) -> None:
        page = desk.open()
        desk.doors.answers["POST settings"] = (403, {"error": "Only administrators may do this."})
        if away:
            desk.doors.http.go_down()
        page.evaluate("amo.save({ extensions: { 7: '101' } })")
        assert page.evaluate("amo.lifecycle").count("saved") == 1
        reason = "cannot be reached" if away else "has not: Only administrators may do this."
        expect(page.get_by_text(reason)).to_be_visible()

    def test_a_list_of_extensions_that_cannot_be_read_is_not_sent(self, desk: Desk) -> None:
        page = desk.open()
        for nonsense in ("{", "7", ["101"]):
            page.evaluate("(nonsense) => amo.save({ extensions: nonsense })", nonsense)
        expect(page.get_by_text("could not be read")).to_have_count(3)
        assert desk.doors.to("POST settings") == []

    def test_a_disabled_widget_sends_nothing_and_asks_no_more(self, make_desk: MakeDesk) -> None:
        desk = make_desk(pace={"seen": 10, "hidden": 10, "most": 10})
        page = desk.open()
        page.wait_for_function("() => amo.polls() > 1")
        page.evaluate("amo.disable()")
        desk.poll(page)  # whatever was under way has been answered by now
        asked = len(desk.doors.asked)
        page.evaluate("amo.look(true)")
        page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
        assert len(desk.doors.asked) == asked
        assert desk.doors.to("POST settings") == []

    def test_settings_show_the_state_of_the_connection(self, desk: Desk) -> None:
        page = desk.open()
        desk.doors.answers["GET settings"] = (
            200,
            {"connected": False, "text": "amoCRM <i>revoked</i> the access.", "unknown_extensions": ["105", "106"]},
        )
        page.evaluate("amo.settings()")
        state = page.get_by_role("status")
        expect(state).to_contain_text("amoCRM <i>revoked</i> the access.")
        expect(state).to_contain_text("Calls came for extensions that nobody here has: 105, 106.")
        shot(page, "settings")
        desk.doors.answers["GET settings"] = (200, {"connected": True, "text": "", "unknown_extensions": []})
        page.evaluate("amo.settings()")
        expect(state).to_have_text("Connected to Evrotel.")
        desk.doors.http.go_down()
        page.evaluate("amo.settings()")
        expect(state).to_contain_text("The state of the connection is unknown. Evrotel's connector cannot be reached.")

    def test_an_incoming_call_shows_who_and_where_once(self, desk: Desk) -> None:
        page = desk.open()
        desk.doors.ring(name="""<img src=x onerror="document.title='harmed'">Дем'яненко & Co""")
        desk.poll(page)
        desk.poll(page)
        [(name, shown)] = told(page)
        assert name == "add_call"
        assert "<img" not in json.dumps(shown)
        assert shown["element"] == {"id": 7, "type": "contact"}
        assert shown["click_link"] == "/contacts/detail/7"
        box = page.locator("article")
        expect(box).to_contain_text("Incoming call: <img src=x")
        expect(box).to_contain_text("Дем’яненко & Co, +380501112233")
        expect(box.get_by_role("link", name="Open the card")).to_have_attribute("href", "/contacts/detail/7")
        shot(page, "ringing")
        page.reload()
        page.locator("body[data-ready]").wait_for()
        desk.poll(page)
        assert told(page) == []
        assert page.title() == "amoCRM"

    @pytest.mark.parametrize(
        ("card", "link"),
        [
            ({"type": "companies", "id": 8}, "/companies/detail/8"),
            ({"type": "leads", "id": 9}, "/leads/detail/9"),
            ({"type": "contact", "id": "10"}, "/contacts/detail/10"),
            ({"type": "javascript:", "id": 1}, "/contacts/add/?phone=%2B380501112233"),
            (None, "/contacts/add/?phone=%2B380501112233"),
        ],
    )
    def test_the_link_goes_to_the_client_s_card_or_makes_one(self, desk: Desk, card: object, link: str) -> None:
        page = desk.open()
        desk.doors.ring(card=card, name=None)
        desk.poll(page)
        [(_, shown)] = told(page)
        assert shown["click_link"] == link
        expect(page.locator("article")).to_contain_text("Incoming call: +380501112233")
        expect(page.get_by_role("link")).to_have_attribute("href", link)

    def test_a_call_that_nobody_took_is_shown_as_missed(self, desk: Desk) -> None:
        page = desk.open()
        desk.doors.ring()
        desk.poll(page)
        desk.doors.ring(state="missed")
        desk.poll(page)
        desk.poll(page)
        expect(page.locator("article")).to_have_count(2)
        expect(page.locator("article").last).to_contain_text("Missed call: Олена, +380501112233")
        expect(page.get_by_role("link").last).to_have_attribute("href", "/contacts/detail/7")
        shot(page, "missed")

    def test_an_answered_call_is_not_mentioned_and_a_failed_one_with_its_reason(self, desk: Desk) -> None:
        page = desk.open()
        desk.doors.ring(state="answered")
        desk.poll(page)
        assert told(page) == []
        desk.doors.ring(id="c2", state="not_dialled", text="Evrotel did not accept it.", number="0671234567")
        desk.poll(page)
        expect(page.get_by_text("0671234567 is not being called: Evrotel did not accept it.")).to_be_visible()

    @pytest.mark.parametrize("way", ["show_notification", "show_message"])
    def test_older_pages_show_it_by_what_they_have(self, make_desk: MakeDesk, way: str) -> None:
        missing = ("add_call", "show_message_error") + (("show_notification",) if way == "show_message" else ())
        desk = make_desk(missing=missing)
        page = desk.open()
        desk.doors.ring()
        desk.poll(page)
        page.get_by_role("button", name="+380501112233").click()
        expect(page.get_by_text("Calling")).to_be_visible()
        assert [name for name, _ in told(page)] == [way, way]

    def test_of_two_tabs_the_one_looked_at_asks_and_the_other_takes_over(self, make_desk: MakeDesk) -> None:
        desk = make_desk(pace={"seen": 10, "hidden": 10, "most": 10})
        first = desk.open()
        first.wait_for_function("() => amo.polls() > 1")
        second = desk.open()
        second.wait_for_function("() => amo.polls() > 1")
        desk.doors.ring()
        expect(second.get_by_text("Incoming call")).to_be_visible()
        asked = first.evaluate("amo.polls()")
        second.wait_for_function("(more) => amo.polls() > more", arg=second.evaluate("amo.polls()") + 3)
        assert first.evaluate("amo.polls()") == asked
        first.evaluate("amo.look(true)")
        first.wait_for_function("(more) => amo.polls() > more", arg=asked + 3)
        second.evaluate("amo.look(false)")
        asked = second.evaluate("amo.polls()")
        first.close()
        second.wait_for_function("(more) => amo.polls() > more", arg=asked + 3)
        assert len(told(second)) == 1
        desk.doors.ring(state="missed")
        expect(second.get_by_text("Missed call")).to_be_visible()

    def test_two_tabs_that_ask_at_once_tell_it_once(self, desk: Desk) -> None:
        pages = [desk.open(), desk.open()]
        desk.doors.ring()
        for page in pages:
            desk.poll(page)
        assert sorted(len(told(page)) for page in pages) == [0, 1]

    def test_a_browser_without_locks_and_storage_still_tells(self, desk: Desk) -> None:
        desk.doors.ring()
        page = desk.open(
            "Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined });"
            "Object.defineProperty(window, 'localStorage', { get: () => { throw new Error('forbidden'); } });"
        )
        expect(page.get_by_text("Incoming call")).to_be_visible()
        desk.poll(page)
        assert len(told(page)) == 1


def test_the_stand_in_makes_tokens_as_amocrm_does() -> None:
    token = disposable_token(issuer="https://a.kommo.com", audience="https://calls.example.com", user_id=3)
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="https://calls.example.com")
    assert (claims["user_id"], claims["exp"] - claims["iat"]) == (3, 1800)
