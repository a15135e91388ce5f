"""Guessing is slowed down for whoever guesses, in whichever process, and for nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from connector.db import Database, now
from connector.deployment import Deployment
from connector.models import SignInFailure
from connector.panel import throttle
from connector.panel.signin import create_user, set_password
from tests.conftest import MakeDeployment
from tests.connector.panel.rows import PASSWORD, csrf_token

KEYS = [throttle.address_key("203.0.113.5")]


def fail(database: Database, times: int) -> None:
    for _ in range(times):
        throttle.begin(database, KEYS)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0), (4, 0), (5, 1), (6, 2), (7, 4), (14, 512), (15, 900), (4000, 900)]
)
def test_blocks_double_up_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    assert throttle.block_after(failures) == timedelta(seconds=seconds)


def test_processes_share_the_count(make_deployment: MakeDeployment) -> None:
    one, other = make_deployment().database, make_deployment().database
    fail(one, 3)
    fail(other, 2)
    with pytest.raises(throttle.Blocked):
        throttle.begin(one, KEYS)


def test_attempts_at_once_do_not_slip_through(deployment: Deployment) -> None:
    def attempt(_: int) -> bool:
        try:
            throttle.begin(deployment.database, KEYS)
        except throttle.Blocked:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(24))) == throttle.FREE_FAILURES


def test_another_address_is_not_blocked(deployment: Deployment) -> None:
    fail(deployment.database, 5)
    throttle.begin(deployment.database, [throttle.address_key("203.0.113.6")])


def test_failures_are_forgotten_after_a_quiet_hour(deployment: Deployment) -> None:
    fail(deployment.database, 5)
    with deployment.database.write() as db:
        db.execute(update(SignInFailure).values(blocked_until=now() - timedelta(hours=2)))
    fail(deployment.database, 4)


def test_a_good_password_does_not_wipe_the_address(deployment: Deployment) -> None:
    """Else whoever has an account could guess others' passwords without end."""
    fail(deployment.database, 3)
    name = throttle.name_key("Oksana", "203.0.113.5")
    throttle.begin(deployment.database, [name, *KEYS])
    throttle.succeeded(deployment.database, cleared=name, uncounted=KEYS[0])
    fail(deployment.database, 2)
    with pytest.raises(throttle.Blocked):
        throttle.begin(deployment.database, KEYS)


def test_an_ipv6_customer_is_one_address() -> None:
    assert throttle.address_key("2001:db8::1") == throttle.address_key("2001:db8::ffff")
    assert throttle.address_key("2001:db8::1") != throttle.address_key("2001:db8:0:1::1")


def test_the_page_says_how_long_and_others_still_get_in(app: Flask, deployment: Deployment) -> None:
    set_password(deployment.database, create_user(deployment.database, "Oksana", "admin"), PASSWORD)
    client = app.test_client()
    data = {"csrf_token": csrf_token(client), "name": "Oksana", "password": "wrong"}
    assert [client.post("/sign-in", data=data).status_code for _ in range(5)] == [401] * 5
    blocked = client.post("/sign-in", data={**data, "password": PASSWORD})
    assert blocked.status_code == 429
    assert int(blocked.headers["Retry-After"]) >= 1
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    good = client.post("/sign-in", data={**data, "password": PASSWORD}, environ_base=elsewhere)
    assert good.status_code == 302
