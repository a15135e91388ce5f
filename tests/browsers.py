"""A real Chromium for tests, where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--test-third-party-cookie-phaseout",
]
needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on this machine"),
]


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@contextmanager
def uncomplaining(browser: Browser, **context: Any) -> Iterator[BrowserContext]:
    """A context whose pages must not report an error or a breach of the policy; a form that is refused is none."""
    opened = browser.new_context(**context)
    complaints: list[str] = []

    def note(said: ConsoleMessage) -> None:
        if said.type == "error" and "status of 400" not in said.text:
            complaints.append(f"{said.text} {said.location}")

    opened.on("weberror", lambda error: complaints.append(str(error.error)))
    opened.on("console", note)
    yield opened
    opened.close()
    assert complaints == []
