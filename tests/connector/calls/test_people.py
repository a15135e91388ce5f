"""Whose call it is: by the connection's mapping, by the CRM's inner numbers, else the default user."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from connector.calls.people import refresh, refresh_all, user_of
from connector.connections.accounts import account_key, keep_installation
from connector.models import CRMAccount
from crm_adapters.contract import CRMUser
from crm_adapters.errors import Unreachable
from crm_adapters.oauth import Tokens
from tests.conftest import MakeDeployment
from tests.connector.delivery.scripted import Scripted, Stage


class Staff(Scripted):
    """A CRM with employees."""

    def __init__(self, *people: CRMUser) -> None:
        super().__init__()
        self.people = list(people)
        self.asked = 0
        self.away = False

    def users(self, *, seconds: float = 60.0) -> list[CRMUser]:
        self.asked += 1
        if self.away:
            raise Unreachable("down")
        return self.people


@pytest.fixture
def staff() -> Staff:
    return Staff(
        CRMUser(id="7", name="Olena", extension="101"),
        CRMUser(id="8", name="Petro", extension="102"),
        CRMUser(id="9", name="Fired", extension="103", active=False),
        CRMUser(id="10", name="Nobody's", extension=None),
    )


@pytest.fixture
def stage(make_deployment: MakeDeployment, staff: Staff) -> Stage:
    stage = Stage(make_deployment())
    stage.crm = staff
    tokens = Tokens(access="a", refresh="r", expires_at=None, endpoint="https://portal.example/rest/")
    keep_installation(stage.deployment.database, stage.deployment.cipher, stage.connection.id, "member", tokens)
    return stage


def owner(stage: Stage, extension: str | None) -> str | None:
    connection = stage.deployment.connections.get("acme")
    return user_of(stage.deployment, connection, extension, seconds=1)


def let_a_while_pass(stage: Stage) -> None:
    with stage.deployment.database.write() as db:
        db.execute(update(CRMAccount).values(users_at=datetime.now(UTC) - timedelta(hours=2)))


def test_the_crm_s_inner_numbers_are_read_at_the_first_need_and_kept(stage: Stage, staff: Staff) -> None:
    assert [owner(stage, extension) for extension in ("101", "102", "103", "999", None)] == ["7", "8", None, None, None]
    assert staff.asked == 1


def test_the_connection_s_own_mapping_wins(stage: Stage) -> None:
    stage.deployment.connections.set("acme", {"extensions": "101=42"})
    assert owner(stage, "101") == "42"


def test_a_new_employee_is_found_when_they_are_first_called(stage: Stage, staff: Staff) -> None:
    owner(stage, "101")
    staff.people.append(CRMUser(id="11", name="New", extension="104"))
    let_a_while_pass(stage)
    assert owner(stage, "104") == "11"


def test_a_crm_that_does_not_answer_leaves_what_was_known(stage: Stage, staff: Staff) -> None:
    owner(stage, "101")
    staff.away = True
    let_a_while_pass(stage)
    assert owner(stage, "999") is None
    assert owner(stage, "101") == "7"


def test_the_users_are_read_again_each_hour(stage: Stage, staff: Staff) -> None:
    refresh_all(stage.deployment)
    refresh_all(stage.deployment)
    assert staff.asked == 1
    let_a_while_pass(stage)
    refresh_all(stage.deployment)
    assert staff.asked == 2


def test_the_users_are_read_where_settings_alone_open_the_crm(make_deployment: MakeDeployment, staff: Staff) -> None:
    """No account is bound there; one that is bound later is asked anew."""
    stage = Stage(make_deployment())
    stage.crm = staff
    assert [owner(stage, "101"), owner(stage, "555")] == ["7", None]
    assert staff.asked == 1
    database, connection_id = stage.deployment.database, stage.connection.id
    assert account_key(database, connection_id) is None
    let_a_while_pass(stage)
    refresh_all(stage.deployment)
    assert staff.asked == 2
    tokens = Tokens(access="a", refresh="r", expires_at=None, endpoint="https://portal.example/rest/")
    assert keep_installation(database, stage.deployment.cipher, connection_id, "member", tokens)
    assert account_key(database, connection_id) == "member"
    assert owner(stage, "555") is None
    assert staff.asked == 3


def test_of_two_users_with_one_number_the_elder_counts(stage: Stage, staff: Staff) -> None:
    staff.people[:] = [CRMUser(id="7", name="First", extension="101"), CRMUser(id="12", name="Second", extension="101")]
    assert refresh(stage.deployment, stage.connection, timedelta(), 1)
    assert owner(stage, "101") == "7"
