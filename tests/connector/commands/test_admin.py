"""`connector admin` and `connector api-key`."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from connector.api.keys import opens
from connector.deployment import Deployment
from connector.models import User
from connector.panel.signin import use_link
from tests.connector.commands.conftest import Console


def test_create_prints_a_link_that_signs_in_once(connector: Console, deployment: Deployment) -> None:
    result = connector("admin", "create", "olena")
    assert result.exit_code == 0
    link = result.stdout.splitlines()[-1]
    assert link.startswith("https://pbx.example/sign-in/")
    token = link.rpartition("/")[2]
    assert use_link(deployment.database, token) == _user(deployment, "olena").id
    assert use_link(deployment.database, token) is None


def test_an_agent_belongs_to_the_only_connection(connector: Console, deployment: Deployment) -> None:
    acme = deployment.connections.add("acme", "journal", {})
    assert connector("admin", "create", "taras", "--role", "agent", "--extension", "101").exit_code == 0
    user = _user(deployment, "taras")
    assert (user.role, user.connection_id, user.extension) == ("agent", acme.id, "101")


def test_a_name_that_is_taken_did_not_work(connector: Console) -> None:
    connector("admin", "create", "olena")
    result = connector("admin", "create", "olena")
    assert (result.exit_code, result.stderr) == (1, "Error: there is a user olena already\n")


def test_who_forgot_their_password_gets_another_link_and_who_left_is_removed(
    connector: Console, deployment: Deployment
) -> None:
    deployment.connections.add("acme", "journal", {})
    connector("admin", "create", "olena")
    connector("admin", "create", "taras", "--role", "agent", "--extension", "101")
    olena, taras = _user(deployment, "olena"), _user(deployment, "taras")
    token = connector("admin", "link", "taras").stdout.splitlines()[-1].rpartition("/")[2]
    assert use_link(deployment.database, token) == taras.id
    listed = connector("admin", "list").stdout
    assert listed == f"{olena.id}\tolena\tadmin\t-\t-\n{taras.id}\ttaras\tagent\tacme\t101\n"
    assert connector("admin", "remove", "taras").stdout == "Removed taras\n"
    for command in ("link", "remove"):
        result = connector("admin", command, "taras")
        assert (result.exit_code, result.stderr) == (1, "Error: there is no user taras\n")


def test_an_agent_without_an_extension_is_refused(connector: Console, deployment: Deployment) -> None:
    deployment.connections.add("acme", "journal", {})
    result = connector("admin", "create", "taras", "--role", "agent", "--connection", "acme")
    assert result.exit_code == 1
    assert "extension" in result.stderr


@pytest.mark.parametrize("extension", ["123456", "abc", "10 1"])
def test_an_extension_is_a_short_number(connector: Console, deployment: Deployment, extension: str) -> None:
    deployment.connections.add("acme", "journal", {})
    result = connector("admin", "create", "taras", "--role", "agent", "--extension", extension)
    assert (result.exit_code, result.stderr) == (1, "Error: an extension should be up to 5 digits\n")


@pytest.mark.parametrize("command", [["admin", "create", "x", "--connection", "nobody"], ["api-key", "create"]])
def test_a_connection_that_is_not_there(connector: Console, command: list[str]) -> None:
    result = connector(*command)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: there is no connection ")


def test_an_unknown_role_is_wrong_usage(connector: Console) -> None:
    assert connector("admin", "create", "olena", "--role", "king").exit_code == 2


def test_a_key_stands_alone_on_the_last_line_and_opens(connector: Console, deployment: Deployment) -> None:
    acme = deployment.connections.add("acme", "journal", {})
    result = connector("api-key", "create", "--connection", "acme")
    assert result.exit_code == 0
    opened = opens(deployment.database, f"Bearer {result.stdout.splitlines()[-1]}")
    assert opened is not None
    assert opened.connection_id == acme.id


def test_keys_are_listed_by_how_they_begin_and_ended(connector: Console, deployment: Deployment) -> None:
    deployment.connections.add("acme", "journal", {})
    key = connector("api-key", "create", "--name", "the site").stdout.splitlines()[-1]
    opens(deployment.database, f"Bearer {key}")
    listed = connector("api-key", "list").stdout
    assert listed.startswith("1\t")
    assert f"{key[:9]}…\tthe site" in listed
    assert key not in listed
    assert "never used" not in listed
    deployment.connections.add("another", "journal", {})
    assert connector("api-key", "revoke", "1").exit_code == 0  # an ID names its connection
    assert opens(deployment.database, f"Bearer {key}") is None
    assert "revoked" in connector("api-key", "list", "--connection", "acme").stdout
    again = connector("api-key", "revoke", "1")
    assert (again.exit_code, again.stderr) == (1, "Error: there is no key 1 to revoke\n")


def _user(deployment: Deployment, name: str) -> User:
    with deployment.database.read() as db:
        return db.execute(select(*User.__table__.columns).where(User.name == name)).one()  # type: ignore[return-value]  # a row of all its columns
