"""What the check says of where recordings are kept."""

from __future__ import annotations

import dataclasses

import pytest

from connector.connections.check import check_connection
from connector.deployment import Deployment
from connector.recordings.stores import open_store
from crm_adapters.contract import Finding


def finding(deployment: Deployment, crm: str = "journal", **settings: str) -> Finding | None:
    """The finding about recordings of a new connection."""
    connection = deployment.connections.add(f"{crm}-{len(deployment.connections.all())}", crm, settings)
    found = [each.worded() for each in check_connection(deployment, connection) if each.name == "recordings"]
    return found[0] if found else None


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """Nobody needs to be asked for these findings."""
    deployment.settings = dataclasses.replace(deployment.settings, evrotel_api_url="http://127.0.0.1:9")
    return deployment


def test_a_folder_that_works_is_named(deployment: Deployment) -> None:
    said = finding(deployment)
    assert said is not None
    assert (said.status, said.text) == ("ok", f"recordings are kept in {deployment.settings.instance / 'recordings'}")


def test_a_disk_that_is_emptied_and_what_to_do_about_it(deployment: Deployment) -> None:
    deployment.settings = dataclasses.replace(deployment.settings, disk_is_kept=False)
    said = finding(deployment)
    assert said is not None
    assert said.status == "warning"
    assert "s3://" in said.fix
    assert "recordings_mode=proxy" in said.fix
    assert finding(deployment, recordings_mode="proxy") is None


def test_a_storage_that_does_not_work(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test-key-of-the-storage")
    away = dataclasses.replace(deployment.settings, recordings_url="s3://calls?endpoint=http://127.0.0.1:9")
    deployment.store = open_store(away)
    said = finding(deployment)
    assert said is not None
    assert said.status == "error"
    assert said.text.startswith("recordings can't be kept in s3://calls/recordings: the storage does not answer")
    assert "test-key" not in said.text


def test_evrotels_own_addresses_are_not_for_a_crm_that_plays_mp3_only(deployment: Deployment) -> None:
    said = finding(deployment, "amocrm", recordings_mode="link")
    assert said is not None
    assert said.status == "warning"
    assert finding(deployment, recordings_mode="link") is None
