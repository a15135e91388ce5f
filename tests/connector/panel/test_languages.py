"""The three languages: complete, compiled, and chosen by user, cookie or browser."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient

from connector.deployment import Deployment
from connector.panel.language import LANGUAGES
from tests.conftest import empty_database
from tests.connector.panel.rows import csrf_token, post

ROOT = Path(__file__).parents[3]
PANEL = ROOT / "connector" / "panel"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
}


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Texts are the same on both engines."""
    return empty_database(request, tmp_path)


def catalog(language: str) -> Catalog:
    with (PANEL / "translations" / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def message_ids() -> set[str]:
    """What the code and the templates ask for: of plural texts the singular."""
    with (PANEL / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]  # Babel left it so
    found: set[str] = set()
    for folder in ("connector", "crm_adapters"):
        for _, _, text, _, _ in extract_from_dir(ROOT / folder, methods, options, keywords=KEYWORDS):
            found.add(text if isinstance(text, str) else text[0])
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_lacks_a_translation(language: str) -> None:
    translated = catalog(language)
    wanted = message_ids()
    assert len(wanted) > 150
    lacking = [text for text in wanted if text not in translated or not all(_strings(translated, text))]
    assert lacking == []
    assert not any(message.fuzzy for message in translated if message.id)
    unused = {_singular(message.id) for message in translated if message.id} - wanted
    assert unused == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_files_are_up_to_date(language: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalog(language))
    kept = (PANEL / "translations" / language / "LC_MESSAGES" / "messages.mo").read_bytes()
    assert compiled.getvalue() == kept


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_kept(language: str) -> None:
    assert [error for _, errors in catalog(language).check() for error in errors] == []


def _strings(translated: Catalog, text: str) -> tuple[Any, ...]:
    string: Any = translated[text].string
    return string if isinstance(string, tuple) else (string,)


def _singular(message_id: str | tuple[str, ...] | list[str]) -> str:
    return message_id if isinstance(message_id, str) else message_id[0]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("uk", "Увійти"), ("ru-RU,ru;q=0.9", "Войти"), ("en-GB", "Sign in"), ("de,fr", "Увійти"), ("", "Увійти")],
)
def test_the_browser_is_answered_in_its_language(app: Flask, asked: str, shown: str) -> None:
    page = app.test_client().get("/sign-in", headers={"Accept-Language": asked}).get_data(as_text=True)
    assert f"<h1>{shown}</h1>" in page


def test_a_stranger_s_choice_is_kept_in_a_cookie(app: Flask) -> None:
    client = app.test_client()
    data = {"csrf_token": csrf_token(client), "language": "ru", "next": "/sign-in"}
    assert client.post("/language", data=data).headers["Location"] == "/sign-in"
    assert "<h1>Войти</h1>" in client.get("/sign-in", headers={"Accept-Language": "en"}).get_data(as_text=True)


def test_a_users_choice_goes_with_the_user(app: Flask, deployment: Deployment, admin: FlaskClient) -> None:
    post(admin, "/language", language="en")
    admin.delete_cookie("language")
    assert 'lang="en"' in admin.get("/", headers={"Accept-Language": "uk"}).get_data(as_text=True)
    assert post(admin, "/language", language="de").status_code == 400


def test_plurals_are_ukrainian(app: Flask) -> None:
    strings = catalog("uk")["%(num)s attempt"].string
    assert strings == ("%(num)s спроба", "%(num)s спроби", "%(num)s спроб")
