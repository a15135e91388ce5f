"""What Evrotel answers to a click-to-call is read for what it is: only what says no `no` and is no page is a yes."""

from __future__ import annotations

import codecs
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connector.evrotel.client import EvrotelClient, Verdict
from tests.conftest import make_settings
from tests.emulators.http import Loopback, Response

CONNECTION: Any = SimpleNamespace(
    get=lambda key: {"evrotel_billcode": "20558", "evrotel_token": "the-connection-s-token"}[key]
)


def ask(body: bytes, tmp_path: Path) -> Any:
    server = Loopback(lambda _: Response(body))
    server.listen()
    try:
        return EvrotelClient(make_settings("sqlite://", tmp_path, evrotel_api_url=server.url), CONNECTION).call(
            ["101"], "+380671234567", "rand"
        )
    finally:
        server.close()


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b"", Verdict.ACCEPTED),
        (b"good", Verdict.ACCEPTED),
        (b'{"status": "ok", "error": null}', Verdict.ACCEPTED),
        (b"bad", Verdict.REFUSED),
        (codecs.BOM_UTF8 + b"bad\r\n", Verdict.REFUSED),
        ("bad".encode("utf-16"), Verdict.REFUSED),
        (b'"bad"', Verdict.REFUSED),
        (b"Access denied", Verdict.REFUSED),
        (b"wrong billcode", Verdict.REFUSED),
        (b'{"error": "no such extension"}', Verdict.REFUSED),
        (b'{"status": "error"}', Verdict.REFUSED),
        (b"TimeLimit 60 sec !", Verdict.TOO_SOON),
        (b"<!DOCTYPE html><title>Sign in</title>", Verdict.UNCLEAR),
        (b"<br />\n<b>Warning</b>:  mysqli_connect()", Verdict.UNCLEAR),
    ],
)
def test_what_an_answer_means(body: bytes, verdict: Verdict, tmp_path: Path) -> None:
    assert ask(body, tmp_path).verdict is verdict


def test_an_answer_is_kept_as_one_line_without_our_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answer = ask(b"ok\0\nfor the-connection-s-token \xff", tmp_path)
    assert answer.text == "ok for *** \ufffd"
    assert "answered after" in caplog.text
    assert "the-connection-s-token" not in caplog.text
