"""`connector connection`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector.commands import connections
from connector.deployment import Deployment
from crm_adapters.contract import Door, Finding, FindingStatus
from crm_adapters.registry import DESCRIPTIONS
from tests.connector.commands.conftest import Console


def test_add_prints_receiver_and_token_on_lines_of_their_own(connector: Console) -> None:
    result = connector("connection", "add", "acme", "--crm", "journal", "--set", "evrotel_token=G7bng65jYk8GF294")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "https://pbx.example/evrotel/acme/events" in lines
    assert "G7bng65jYk8GF294" in lines


def test_a_token_is_made_up_where_none_is_given(connector: Console) -> None:
    token = connector("connection", "add", "--crm", "journal").stdout.splitlines()[-1]
    assert len(token) >= 20


def test_add_without_a_name_adds_default(connector: Console) -> None:
    connector("connection", "add", "--crm", "journal")
    assert connector("connection", "list").stdout == "default  journal  active\n"


def test_a_name_that_is_taken_did_not_work(connector: Console) -> None:
    connector("connection", "add", "acme", "--crm", "journal")
    result = connector("connection", "add", "acme", "--crm", "journal")
    assert (result.exit_code, result.stderr) == (1, "Error: there is a connection acme already\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["add", "Acme!", "--crm", "journal"], "name"),
        (["add", "acme", "--crm", "abacus"], "crm"),
        (["add", "acme"], "--crm"),
        (["add", "acme", "--crm", "journal", "--set", "colour=red"], "colour"),
        (["add", "acme", "--crm", "journal", "--set", "evrotel_timezone=Mars/Base"], "evrotel_timezone"),
        (["add", "acme", "--crm", "journal", "--set", "evrotel_timezone"], "KEY=VALUE"),
        (["set", "acme"], "KEY=VALUE"),
        (["set", "acme", "crm=abacus"], "crm"),
        (["set", "acme", "phone_region=Narnia"], "phone_region"),
    ],
)
def test_wrong_usage_names_what_is_wrong(connector: Console, arguments: list[str], named: str) -> None:
    result = connector("connection", *arguments)
    assert result.exit_code == 2
    assert named in result.stderr


def test_show_says_of_secrets_only_that_they_are_set(connector: Console) -> None:
    connector("connection", "add", "acme", "--crm", "journal", "--set", "evrotel_token=G7bng65jYk8GF294")
    shown = connector("connection", "show", "acme").stdout
    assert "G7bng65jYk8GF294" not in shown
    assert "evrotel_token: set\n" in shown
    assert "evrotel_timezone: Europe/Kyiv (default)\n" in shown
    assert "receiver: https://pbx.example/evrotel/acme/events\n" in shown


def test_the_addresses_for_the_crms_own_form_are_told(connector: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    added = connector("connection", "add", "acme", "--crm", "bitrix24").stdout.splitlines()
    shown = connector("connection", "show", "acme").stdout
    for title, door in (("handler path", "app"), ("initial installation path", "install")):
        address = f"https://pbx.example/bitrix24/acme/{door}"
        assert added[added.index(address) - 1] == f"For Bitrix24, {title}:"
        assert f"{title}: {address}\n" in shown
    click = Door(methods=("POST",), lock="a secret", title="click address")
    monkeypatch.setitem(DESCRIPTIONS, "journal", replace(DESCRIPTIONS["journal"], doors={"click": click}))
    connector("connection", "add", "other", "--crm", "journal")
    shown = connector("connection", "show", "other").stdout
    assert "click address: https://pbx.example/journal/other/click\n" in shown


def test_the_only_connection_needs_no_name(connector: Console) -> None:
    connector("connection", "add", "acme", "--crm", "journal")
    assert connector("connection", "set", "evrotel_billcode=20558").exit_code == 0
    assert "evrotel_billcode: 20558\n" in connector("connection", "show").stdout
    assert connector("connection", "remove").exit_code == 0
    assert connector("connection", "list").stdout == ""


def test_of_several_connections_default_is_meant(connector: Console) -> None:
    connector("connection", "add", "acme", "--crm", "journal")
    connector("connection", "add", "other", "--crm", "journal")
    assert connector("connection", "show").stderr == "Error: there is no connection default\n"
    connector("connection", "add", "--crm", "journal")
    assert "name: default\n" in connector("connection", "show").stdout


def test_set_changes_several_and_an_empty_value_unsets(connector: Console) -> None:
    connector("connection", "add", "acme", "--crm", "journal")
    connector("connection", "set", "acme", "evrotel_billcode=20558", "phone_region=pl")
    assert "phone_region: PL\n" in connector("connection", "show", "acme").stdout
    connector("connection", "set", "acme", "phone_region=")
    assert "phone_region: UA (default)\n" in connector("connection", "show", "acme").stdout


@pytest.mark.parametrize("command", ["show", "check", "pause", "resume", "remove"])
def test_a_connection_that_is_not_there(connector: Console, command: str) -> None:
    result = connector("connection", command, "nobody")
    assert (result.exit_code, result.stderr) == (1, "Error: there is no connection nobody\n")


def test_pause_and_resume_show_in_the_list(connector: Console) -> None:
    connector("connection", "add", "acme", "--crm", "journal")
    assert connector("connection", "pause", "acme").exit_code == 0
    assert connector("connection", "list").stdout.startswith("acme  journal  paused by admin: ")
    assert connector("connection", "resume", "acme").exit_code == 0
    assert connector("connection", "list").stdout == "acme  journal  active\n"


def test_the_list_has_one_line_each_by_name(connector: Console) -> None:
    for name in ("b", "a"):
        connector("connection", "add", name, "--crm", "journal")
    assert [line.split()[0] for line in connector("connection", "list").stdout.splitlines()] == ["a", "b"]


@pytest.mark.parametrize(("status", "exit_code"), [("ok", 0), ("warning", 0), ("error", 1)])
def test_check_prints_a_line_for_each_finding(
    connector: Console, monkeypatch: pytest.MonkeyPatch, status: str, exit_code: int
) -> None:
    findings = [
        Finding(name="state", status=FindingStatus.OK, text="takes calls"),
        Finding(name="scopes", status=FindingStatus(status), text="telephony\nis looked at", fix="tick it"),
    ]
    monkeypatch.setattr(connections, "check_connection", lambda deployment, connection: findings)
    connector("connection", "add", "acme", "--crm", "journal")
    result = connector("connection", "check", "acme")
    assert result.exit_code == exit_code
    assert result.stdout == f"ok  state: takes calls\n{status}  scopes: telephony is looked at - tick it\n"
    assert bool(result.stderr) == bool(exit_code)


def test_removing_takes_calls_along(connector: Console, make_deployment: object) -> None:
    assert callable(make_deployment)
    deployment: Deployment = make_deployment()
    deployment.connections.add("acme", "journal", {})
    assert connector("connection", "remove", "acme").exit_code == 0
    assert deployment.connections.all() == []
