"""Settings: each wrong value stops the start and names its variable; the rest has documented defaults."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from connector.settings import Settings, SettingsError, read_settings

KEY = "a-long-enough-random-key"
ReadFrom = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadFrom]:
    """Reads the settings of an environment that has these variables and no others."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)

    def reading(variables: Mapping[str, str] | None = None, **arguments: object) -> Settings:
        os.environ.clear()
        os.environ.update(variables or {})
        return read_settings(instance=tmp_path / "instance", **arguments)  # type: ignore[arg-type]  # host and port

    yield reading
    os.environ.clear()
    os.environ.update(before)


def test_nothing_set_is_a_start_on_one_machine(read: ReadFrom, tmp_path: Path) -> None:
    settings = read()
    assert settings.database_url == f"sqlite:///{tmp_path / 'instance/connector.db'}"
    assert settings.public_url == "http://127.0.0.1:8000"
    assert (settings.start_answer_seconds, settings.retention_days, settings.trusted_proxies) == (2.5, 400, 0)
    assert (settings.log_level, settings.log_format, settings.allow_local_addresses) == ("INFO", "text", False)


@pytest.mark.parametrize(
    ("name", "value", "should_be"),
    [
        ("DATABASE_URL", "mysql://host/name", "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"),
        ("DATABASE_URL", "connector.db", "sqlite:///PATH or postgresql://"),
        ("DATABASE_URL", "postgresql://u:p@h:port/x", "sqlite:///PATH or postgresql://"),
        ("DATABASE_URL", "sqlite://x", "sqlite:///PATH or postgresql://"),
        ("DATABASE_URL", "sqlite:///", "sqlite:///PATH or postgresql://"),
        ("DATABASE_URL", "sqlite:///:memory:", "sqlite:///PATH or postgresql://"),
        ("PUBLIC_URL", "http://[bad", "a web address"),
        ("PUBLIC_URL", "http://host:99999", "a web address"),
        ("PUBLIC_URL", "https://ho st", "a web address"),
        ("PUBLIC_URL", "https://user:secret@host", "a web address"),
        ("PUBLIC_URL", "https://host/?a=1", "a web address"),
        ("SENTRY_DSN", "garbage", "https://KEY@HOST/PROJECT"),
        ("PUBLIC_URL", "connector.example", "a web address such as https://host"),
        ("PUBLIC_URL", "ftp://connector.example", "a web address"),
        ("SECRET_KEY", "short", "at least 16 characters"),
        ("SECRET_KEY", f"{KEY},short", "at least 16 characters"),
        ("START_ANSWER_SECONDS", "soon", "should be|number"),
        ("START_ANSWER_SECONDS", "-1", "seconds from 0 to 30"),
        ("START_ANSWER_SECONDS", "31", "seconds from 0 to 30"),
        ("START_ANSWER_SECONDS", "nan", "not permitted|seconds from 0 to 30"),
        ("ALLOW_LOCAL_ADDRESSES", "maybe", "one of 0, 1"),
        ("TRUSTED_PROXIES", "-1", "from 0 to 10"),
        ("TRUSTED_PROXIES", "one", "should be|integer"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR"),
        ("LOG_FORMAT", "xml", "one of text, json"),
        ("RETENTION_DAYS", "0", "days from 1 to 36500"),
        ("RETENTION_DAYS", "forever", "should be|integer"),
        ("RECORDINGS_URL", "s3://", "s3://BUCKET/PREFIX, or a folder"),
        ("RECORDINGS_URL", "s3://b", "s3://BUCKET/PREFIX, or a folder"),
        ("RECORDINGS_URL", "s3://bucket?endpoint=none", "s3://BUCKET/PREFIX, or a folder"),
        ("RECORDINGS_URL", "s3://bucket?key=secret", "s3://BUCKET/PREFIX, or a folder"),
        ("RECORDINGS_URL", "https://bucket.example", "s3://BUCKET/PREFIX, or a folder"),
        ("RECORDINGS_URL", "file://host/folder", "s3://BUCKET/PREFIX, or a folder"),
        ("RECORDINGS_URL", "/dev/null/folder", "a folder that can be made"),
        ("EVROTEL_API_URL", "callme.sipiko.net", "a web address"),
        ("EVROTEL_DIAL_URL", "none", "a web address"),
        ("BITRIX24_OAUTH_URL", "none", "a web address"),
        ("PORT", "0", "a port from 1 to 65535"),
        ("PORT", "http", "should be|integer"),
        ("WEB_CONCURRENCY", "0", "web processes from 1 to 64"),
        ("WEB_THREADS", "1", "threads, 4 to 1024|threads from 4 to 1024"),
    ],
)
def test_a_wrong_value_names_its_variable(read: ReadFrom, name: str, value: str, should_be: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        read({name: value})
    assert any(words in str(raised.value) for words in should_be.split("|"))
    assert "secret" not in str(raised.value)


def test_recordings_are_kept_where_the_setting_says(read: ReadFrom, tmp_path: Path) -> None:
    assert read({}).recordings_url == ""
    there = tmp_path / "my calls"
    for spelt in (str(there), there.as_uri()):
        assert read({"RECORDINGS_URL": spelt}).recordings_url == there.as_uri()
    assert there.is_dir()
    s3 = "s3://calls/shop?endpoint=https://minio.example.com&region=eu-central-1"
    assert read({"RECORDINGS_URL": s3}).recordings_url == s3


def test_good_values_of_many_kinds(read: ReadFrom) -> None:
    settings = read(
        {"PUBLIC_URL": "https://host:8443/calls/", "SENTRY_DSN": "https://key@o1.ingest.sentry.io/42", "PORT": " 80 "},
    )
    assert (settings.public_url, settings.port) == ("https://host:8443/calls", 80)
    assert settings.sentry_dsn == "https://key@o1.ingest.sentry.io/42"


@pytest.mark.parametrize(
    "name", ["PORT", "RETENTION_DAYS", "TRUSTED_PROXIES", "LOG_LEVEL", "PUBLIC_URL", "DATABASE_URL"]
)
def test_an_empty_value_is_no_value(read: ReadFrom, name: str) -> None:
    """As `.env` files and forms of platforms leave them."""
    assert getattr(read({name: ""}), name.lower()) == getattr(read(), name.lower())


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_is_taken(read: ReadFrom, scheme: str) -> None:
    settings = read({"DATABASE_URL": f"{scheme}://user:pass@host:5432/name?sslmode=require", "SECRET_KEY": KEY})
    assert settings.database_url == "postgresql+psycopg://user:pass@host:5432/name?sslmode=require"


def test_a_dyno_is_not_given_a_database_that_is_lost_with_it(read: ReadFrom) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL should be a PostgreSQL address"):
        read({"DYNO": "web.1", "SECRET_KEY": KEY})
    with pytest.raises(SettingsError, match="DATABASE_URL should be a PostgreSQL address"):
        read({"DYNO": "web.1", "SECRET_KEY": KEY, "DATABASE_URL": "sqlite:///x.db"})


def test_a_dyno_listens_to_its_router(read: ReadFrom) -> None:
    settings = read({"DYNO": "web.1", "SECRET_KEY": KEY, "DATABASE_URL": "postgres://u:p@h/n", "PORT": "31337"})
    assert (settings.host, settings.port, settings.trusted_proxies) == ("0.0.0.0", 31337, 1)


def test_the_command_line_wins(read: ReadFrom) -> None:
    settings = read({"PORT": "9000"}, host="127.0.0.2", port=9100)
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.2", 9100, "http://127.0.0.2:9100")


def test_the_file_env_is_read_and_the_environment_wins(read: ReadFrom, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RETENTION_DAYS=30\nLOG_FORMAT=json\nEVROTEL_TOKEN=from-the-file\n")
    settings = read({"LOG_FORMAT": "text"})
    assert (settings.retention_days, settings.log_format) == (30, "text")
    assert settings.environment["EVROTEL_TOKEN"] == "from-the-file"


def test_postgresql_needs_a_key_of_its_own(read: ReadFrom) -> None:
    """A key made up on one machine would lock the others out."""
    with pytest.raises(SettingsError, match="SECRET_KEY should be set to a long random text"):
        read({"DATABASE_URL": "postgresql://u:p@h/n"})


def test_several_keys_are_a_rotation(read: ReadFrom) -> None:
    assert read({"SECRET_KEY": f" {KEY} , {KEY}-before ,"}).secret_keys == (KEY, f"{KEY}-before")


def test_sqlite_makes_a_key_and_keeps_it_for_its_owner_only(read: ReadFrom, tmp_path: Path) -> None:
    first = read().secret_keys
    assert read().secret_keys == first
    kept = tmp_path / "instance" / "secret_key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(first[0]) >= 43
    assert list(kept.parent.iterdir()) == [kept]


def test_two_first_starts_agree_on_one_key(tmp_path: Path) -> None:
    program = "from connector.settings import read_settings; print(read_settings().secret_keys[0])"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    starts = [
        subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    keys = {start.communicate(timeout=60)[0] for start in starts}
    assert len(keys) == 1
    assert keys == {(tmp_path / "instance" / "secret_key").read_bytes() + b"\n"}


def test_settings_do_not_show_their_secrets(read: ReadFrom) -> None:
    settings = read({"SECRET_KEY": "canary-canary-canary", "DATABASE_URL": "postgresql://u:canary@h/n"})
    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)


def test_a_damaged_file_is_said(read: ReadFrom, tmp_path: Path) -> None:
    read()
    (tmp_path / "instance/secret_key").write_text("")
    with pytest.raises(SettingsError, match="secret_key is damaged"):
        read()
    (tmp_path / ".env").write_bytes(b"CRM=\xff\xfe")
    with pytest.raises(SettingsError, match="UTF-8"):
        read()


def test_a_folder_that_can_t_be_made_is_said(read: ReadFrom, tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("a file")
    with pytest.raises(SettingsError, match="instance"):
        read()
