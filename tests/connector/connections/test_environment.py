"""The connection `default` by environment variables, as a deployment without a shell sets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from connector.connections.environment import apply_environment
from connector.connections.store import NoSuchConnection
from connector.deployment import Deployment
from connector.models import Connection
from connector.settings import SettingsError
from crm_adapters.errors import Unfit
from tests.conftest import MakeDeployment, empty_database


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The environment is the same on both engines."""
    return empty_database(request, tmp_path)


def test_variables_make_the_connection_and_change_it_at_each_start(make_deployment: MakeDeployment) -> None:
    first = make_deployment(
        environment={"CRM": "bitrix24", "EVROTEL_TOKEN": "12345678", "BITRIX24_CLIENT_ID": "local.1"}
    )
    apply_environment(first)
    made = first.connections.get("default")
    assert (made.crm, made.get("evrotel_token"), made.get("bitrix24_client_id")) == ("bitrix24", "12345678", "local.1")
    second = make_deployment(environment={"EVROTEL_TOKEN": "87654321"})
    apply_environment(second)
    changed = second.connections.get("default")
    assert (changed.crm, changed.get("evrotel_token"), changed.get("bitrix24_client_id")) == (
        "bitrix24",
        "87654321",
        "local.1",
    )


def test_a_token_alone_makes_a_journal(make_deployment: MakeDeployment) -> None:
    deployment = make_deployment(environment={"EVROTEL_TOKEN": "12345678"})
    apply_environment(deployment)
    assert deployment.connections.get("default").crm == "journal"


@pytest.mark.parametrize("environment", [{}, {"EVROTEL_TOKEN": " "}, {"LANGUAGE": "en_US:en"}, {"PATH": "/bin"}])
def test_without_any_of_its_variables_nothing_is_made(
    make_deployment: MakeDeployment, environment: dict[str, str]
) -> None:
    deployment = make_deployment(environment=environment)
    apply_environment(deployment)
    with pytest.raises(NoSuchConnection):
        deployment.connections.get("default")


def test_what_was_set_by_hand_stays_where_no_variable_says_otherwise(make_deployment: MakeDeployment) -> None:
    deployment = make_deployment(environment={"EVROTEL_TOKEN": "12345678"})
    apply_environment(deployment)
    deployment.connections.set("default", {"evrotel_billcode": "20558", "evrotel_token": "by-hand-12"})
    apply_environment(deployment)
    kept = deployment.connections.get("default")
    assert (kept.get("evrotel_billcode"), kept.get("evrotel_token")) == ("20558", "12345678")


@pytest.mark.parametrize(
    ("name", "value"), [("CRM", "salesforce"), ("EVROTEL_TOKEN", "short"), ("EVROTEL_TIMEZONE", "Kyiv")]
)
def test_a_wrong_value_names_the_variable(make_deployment: MakeDeployment, name: str, value: str) -> None:
    deployment = make_deployment(environment={name: value})
    with pytest.raises(SettingsError, match=f"^{name} should be "):
        apply_environment(deployment)


def test_other_connections_are_left_alone(make_deployment: MakeDeployment) -> None:
    deployment = make_deployment(environment={"EVROTEL_TOKEN": "12345678"})
    deployment.connections.add("acme", "journal", {"evrotel_token": "87654321"})
    apply_environment(deployment)
    assert deployment.connections.get("acme").get("evrotel_token") == "87654321"


def test_a_connection_whose_package_is_gone_stops_the_start_until_it_has_another_crm(deployment: Deployment) -> None:
    deployment.connections.add("shop", "webhook", {"webhook_url": "https://crm.example.com/hook"})
    with deployment.database.write() as db:
        db.execute(update(Connection).values(crm="gone", settings={"gone_url": "https://gone.example.com"}))
    with pytest.raises(Unfit, match="shop is for gone, which no package here brings"):
        apply_environment(deployment)
    with pytest.raises(Unfit, match="shop is for gone"):
        deployment.connections.set("shop", {"language": "ru"})
    kept = deployment.connections.set("shop", {"crm": "journal"})
    assert kept.values["gone_url"] == "https://gone.example.com"
    apply_environment(deployment)
