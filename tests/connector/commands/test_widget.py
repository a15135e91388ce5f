"""`connector widget build`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.connector.commands.conftest import Console


def test_it_writes_the_archive_of_a_connection(connector: Console, tmp_path: Path) -> None:
    connector(
        "connection", "add", "shop", "--crm", "amocrm", "--set", "amocrm_client_secret=a-secret-of-the-integration"
    )
    target = tmp_path / "widget.zip"
    result = connector("widget", "build", "--connection", "shop", "-o", str(target))
    assert (result.exit_code, result.stdout) == (0, f"{target}\n")
    with zipfile.ZipFile(target) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    assert {"manifest.json", "script.js", "i18n/uk.json", "i18n/ru.json", "i18n/en.json"} <= set(content)
    assert json.loads(content["manifest.json"])["widget"]["version"]
    assert b"https://pbx.example/amocrm/shop" in content["script.js"]
    assert b"a-secret-of-the-integration" not in b"".join(content.values())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_can_t_be_built_is_said(connector: Console, tmp_path: Path) -> None:
    connector("connection", "add", "plain", "--crm", "journal")
    assert connector("widget", "build").stderr == "Error: Journal has no widget\n"
    connector("connection", "set", "plain", "crm=amocrm")
    nowhere = connector("widget", "build", "-o", str(tmp_path / "missing" / "widget.zip"))
    assert (nowhere.exit_code, "No such file" in nowhere.stderr) == (1, True)
