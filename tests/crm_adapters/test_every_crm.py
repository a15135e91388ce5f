"""What every CRM has to keep, whoever wrote its adapter: what it declares of itself, its settings, doors, logs and
check. What it is told is next door. None can opt out: stages/__init__.py."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from connector.connections.keys import ALL_FIELDS, clean_values
from connector.connections.store import ConnectionStore
from connector.log import NOISY
from crm_adapters.contract import TOLD_TO, Capability, CRMAdapter, Description, FindingStatus, Telling
from crm_adapters.door_answers import DoorRefused, DoorRequest
from crm_adapters.errors import AdapterError, NotSupported
from crm_adapters.registry import adapter_class
from crm_adapters.settings import Field
from tests.conftest import MakeDeployment
from tests.crm_adapters.fakes import make_account
from tests.crm_adapters.samples import EVENTS, NUMBER
from tests.crm_adapters.stages import EVERY, STAGES, TALKING
from tests.crm_adapters.stages.stage import Stage, Trouble
from tests.crm_adapters.telling import telling_of, told

BY_METHOD: dict[Capability, str] = {Capability.USERS: "users", Capability.TEST_EVENT: "test_event"}
"""Capabilities that are a method of their own; the others are events that `tell` gets."""
UNFIT = ("\x00", "no such value!", "9" * 100_000)
"""Values of which each check refuses some."""


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Settings are kept the same way by both engines (tests/connector/connections)."""
    return f"sqlite:///{tmp_path}/connector.db"


def test_each_crm_has_a_stage_and_only_what_declares_nothing_has_nobody_on_it() -> None:
    assert set(STAGES) == set(EVERY)
    for slug in set(EVERY) - set(TALKING):
        assert EVERY[slug] == Description(slug=slug, title=EVERY[slug].title)


def test_what_is_declared_is_there_and_the_rest_fails_loudly(slug: str) -> None:
    description, made = EVERY[slug], adapter_class(slug)
    for capability, name in BY_METHOD.items():
        has = getattr(made, name) is not getattr(CRMAdapter, name)
        assert has == (capability in description.capabilities), capability
    assert (made.open_door is not CRMAdapter.open_door) == bool(description.doors)
    assert (made.trusts is not CRMAdapter.trusts) == any(door.for_scripts for door in description.doors.values())
    assert (made.consent_url is not CRMAdapter.consent_url) == bool(description.consent_sites)
    assert (made.widget is not CRMAdapter.widget) == bool(description.widget)
    assert (made.sign_in is not CRMAdapter.sign_in) == description.signs_in_by_settings
    adapter = made(make_account({}))
    undeclared: list[Callable[[], Any]] = []
    undeclared += [] if Capability.USERS in description.capabilities else [adapter.users]
    undeclared += [] if Capability.TEST_EVENT in description.capabilities else [adapter.test_event]
    undeclared += [] if description.widget else [lambda: adapter.widget(datetime.now(UTC))]
    undeclared += [] if description.consent_sites else [lambda: adapter.consent_url("state", "")]
    for ask in undeclared:
        with pytest.raises(NotSupported):
            ask()


def test_the_stage_has_the_very_adapter_that_the_service_uses(stage: Stage, slug: str) -> None:
    adapter = stage.adapter()
    assert stage.slug == slug
    assert type(adapter) is adapter_class(slug)
    assert adapter.description is EVERY[slug]
    assert set(adapter.account.settings) <= {*ALL_FIELDS}


def test_no_door_opens_to_a_stranger(stage: Stage, slug: str) -> None:
    adapter = stage.adapter()
    before = stage.writes()
    for name, door in EVERY[slug].doors.items():
        assert door.lock
        for method in door.methods:
            form = {"cmd": "makeCall", "phone": NUMBER, "user": "101"}
            request = DoorRequest(door=name, method=method, query={}, form=form, headers={}, body=b"{}")
            try:
                assert isinstance(adapter.open_door(request), DoorRefused)
            except AdapterError:
                pass
    assert stage.writes() == before


def test_settings_are_named_for_the_crm_and_its_secrets_as_such(slug: str) -> None:
    for field in EVERY[slug].fields:
        assert ALL_FIELDS[field.key] is field
        assert re.fullmatch(rf"{slug.replace('-', '_')}_[a-z0-9_]+", field.key)
        assert field.label
        is_named_so = re.search(r"secret|password|token|key$", field.key)
        assert field.secret or not is_named_so, field.key
        assert field.outside or not field.key.endswith("url"), field.key
        assert field.clean("") == ""
        assert field.clean(field.default) == field.default
        assert not field.choices or field.default in field.choices


def test_settings_are_kept_as_they_are_given(slug: str, make_deployment: MakeDeployment) -> None:
    """By the connection's own store and another process: what is secret sealed, what is wrong not at all."""
    given = {field.key: sample_of(field, slug) for field in EVERY[slug].fields}
    cleaned = clean_values(given)
    assert clean_values(cleaned) == cleaned
    assert all(cleaned.values())
    deployment = make_deployment()
    deployment.connections.add("acme", slug, given)
    kept = make_deployment().connections.get("acme")
    assert {key: kept.values[key] for key in given} == {key: kept.get(key) for key in given} == cleaned
    with deployment.database.read() as db:
        row = str(tuple(db.execute(text("SELECT * FROM connections")).one()))
    for field in EVERY[slug].fields:
        assert (cleaned[field.key] in row) is not field.secret, field.key
        if field.choices or field.check is not str.strip:
            assert any(is_refused(deployment.connections, field, value) for value in UNFIT), field.key
        if field.outside:
            strict = make_deployment(allow_local_addresses=False).connections
            assert is_refused(strict, field, "http://127.0.0.1:1/hook")


def sample_of(field: Field, slug: str) -> str:
    """A valid value: the stage has one where the field itself has none."""
    return STAGES[slug].samples.get(field.key) or field.default or (field.make() if field.make else "")


def is_refused(store: ConnectionStore, field: Field, value: str) -> bool:
    """Whether it is, with a text that names the field, and changes nothing."""
    before = store.get("acme").values
    try:
        store.set("acme", {field.key: value})
    except ValueError as error:
        return str(error).startswith(f"{field.key} should be ") and store.get("acme").values == before
    return False


def test_no_secret_and_no_whole_number_is_logged_and_no_secret_kept(
    stage: Stage, slug: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of all loggers, whatever their names, but for those that are silenced in service too; what is printed is a log
    as well."""
    for name in NOISY:
        caplog.set_level(logging.WARNING, logger=name)
    caplog.set_level(logging.DEBUG)  # the last, as the handler takes it too
    adapter = stage.adapter()
    secrets = secrets_of(adapter, stage)
    said = go_through(adapter, stage)
    if slug in TALKING:
        for trouble in (Trouble.REVOKED, Trouble.NO_ANSWER):
            stage.trouble(trouble)
            said += go_through(adapter, stage)
    # The secret settings that the stage's connection does without: with them it may not get in at all.
    given = {field.key: sample_of(field, slug) for field in EVERY[slug].fields if field.secret}
    settings = {**given, **adapter.account.settings}
    said += go_through(type(adapter)(replace(adapter.account, settings=settings)), stage)
    if slug in TALKING:
        stage.trouble(Trouble.AWAY)
        said += go_through(adapter, stage)
    logged = "".join((caplog.text, *capfd.readouterr()))
    for secret in {*secrets, *given.values()}:
        assert secret not in logged
        assert secret not in "\n".join(said)
    assert NUMBER[4:] not in re.sub(r"[ ()-]", "", logged)


def secrets_of(adapter: CRMAdapter, stage: Stage) -> set[str]:
    """What the connection has that nobody may see: at least one thing, where a setting is secret."""
    settings, tokens = adapter.account.settings, adapter.account.tokens.current()
    fields = [field.key for field in adapter.description.fields if field.secret]
    secrets = {settings[key] for key in fields if settings.get(key)}
    assert bool(secrets) == bool(fields)
    return secrets | set(stage.secrets()) | ({tokens.access, tokens.refresh} if tokens else set())


def go_through(adapter: CRMAdapter, stage: Stage) -> list[str]:
    """Has the adapter do all that it can; what is kept and shown of that."""
    declared = [kind for kind in EVENTS if TOLD_TO[kind] & adapter.description.capabilities]
    tellings: list[Telling] = []
    for kind in declared:
        tellings.append(telling_of(stage, kind, *tellings[:1]))
        told(adapter, tellings[-1])
    findings = [f"{each.text} {each.fix}" for each in (finding.worded() for finding in adapter.check())]
    exchanges = [f"{each.request}\n{each.answer}" for telling in tellings for each in telling.exchanges]
    return [*findings, *exchanges, *(str(telling.error) for telling in tellings)]


def test_check_changes_nothing_and_says_something(stage: Stage) -> None:
    adapter = stage.adapter()
    before = stage.writes()
    findings = adapter.check()
    assert stage.writes() == before
    assert findings
    for finding in findings:
        shown = finding.worded()
        assert shown.text
        assert "%(" not in shown.text + shown.fix
        assert finding.status == FindingStatus.OK or finding.fix
