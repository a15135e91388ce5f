"""The deployment's settings: read once from the environment and `.env` into one typed object.

No other module reads the environment (ruff's rules and a test see to that).
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, unquote

from dotenv import dotenv_values
from environs import Env, EnvError
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from crm_adapters.addresses import address_parts, is_web_address

Number = TypeVar("Number", int, float)

SHORTEST_KEY = 16
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}


class SettingsError(ValueError):
    """A variable has a wrong value; the message names it and says what it should be."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One deployment. Field names are the variables' in lower case; see the README for each one's meaning."""

    secret_keys: tuple[str, ...]
    database_url: str
    public_url: str
    instance: Path
    environment: dict[str, str]
    host: str = "127.0.0.1"
    port: int = 8000
    start_answer_seconds: float = 2.5
    allow_local_addresses: bool = False
    trusted_proxies: int = 0
    log_level: str = "INFO"
    log_format: str = "text"
    sentry_dsn: str = ""
    retention_days: int = 400
    recordings_url: str = ""
    disk_is_kept: bool = True
    evrotel_api_url: str = "https://callme.sipiko.net"
    evrotel_dial_url: str = "https://autodial.evro-tel.com.ua/autodialapi/call_worker_api.php"
    bitrix24_oauth_url: str = "https://oauth.bitrix24.tech"
    redis_url: str = ""
    web_concurrency: int = 2
    web_threads: int = 64

    def __repr__(self) -> str:
        return f"Settings(public_url={self.public_url!r})"  # never the keys or the database's password


def read_settings(*, host: str | None = None, port: int | None = None, instance: Path | None = None) -> Settings:
    """The settings of this process. `host` and `port` are the command line's and win. Raises SettingsError."""
    env = Env()
    kept = Path.cwd() / ".env"
    try:
        env.read_env(str(kept), recurse=False, override=False)
        environment = {name: value or "" for name, value in dotenv_values(kept).items()} | dict(os.environ)
        return _read(env, host, port, instance or Path("instance").absolute(), environment)
    except UnicodeDecodeError:
        raise SettingsError(f"{kept} should be a text in UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}") from None
    except EnvError as error:
        raise SettingsError(str(error)) from None


def _read(env: Env, host: str | None, port: int | None, instance: Path, environment: dict[str, str]) -> Settings:
    on_heroku = bool(env.str("DYNO", ""))
    host = host or ("0.0.0.0" if on_heroku else "127.0.0.1")  # noqa: S104 - a dyno is reached from outside
    port = port or _number(env, "PORT", 8000, "a port", (1, 65535))
    database_url = _database_url(env, instance, on_heroku)
    return Settings(
        secret_keys=_secret_keys(env, instance, database_url),
        database_url=database_url,
        public_url=_web_address(env, "PUBLIC_URL", _own_address(env, host, port)),
        instance=instance,
        environment=environment,
        host=host,
        port=port,
        start_answer_seconds=_number(env, "START_ANSWER_SECONDS", 2.5, "seconds", (0, 30)),
        allow_local_addresses=_switch(env, "ALLOW_LOCAL_ADDRESSES"),
        trusted_proxies=_number(env, "TRUSTED_PROXIES", int(on_heroku), "proxies", (0, 10)),
        log_level=_one_of(env, "LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
        log_format=_one_of(env, "LOG_FORMAT", ("text", "json"), "text"),
        sentry_dsn=_sentry_dsn(env),
        recordings_url=_recordings_url(env),
        disk_is_kept=not on_heroku,
        retention_days=_number(env, "RETENTION_DAYS", 400, "days", (1, 36500)),
        evrotel_api_url=_web_address(env, "EVROTEL_API_URL", Settings.evrotel_api_url),
        evrotel_dial_url=_web_address(env, "EVROTEL_DIAL_URL", Settings.evrotel_dial_url),
        bitrix24_oauth_url=_web_address(env, "BITRIX24_OAUTH_URL", Settings.bitrix24_oauth_url),
        redis_url=_redis_url(env),
        web_concurrency=_number(env, "WEB_CONCURRENCY", 2, "web processes", (1, 64)),
        web_threads=_number(env, "WEB_THREADS", 64, "threads", (4, 1024)),
    )


def _database_url(env: Env, instance: Path, on_heroku: bool) -> str:
    """A SQLAlchemy address with our driver; Heroku's `postgres://` is PostgreSQL too."""
    given = env.str("DATABASE_URL", "").strip() or f"sqlite:///{instance / 'connector.db'}"
    scheme, separator, rest = given.partition("://")
    url = f"{_DRIVERS.get(scheme, scheme)}{separator}{rest}"
    if not _names_a_database(url):  # the value is not shown: it has the password
        raise SettingsError("DATABASE_URL should be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")
    if scheme == "sqlite" and on_heroku:
        raise SettingsError("DATABASE_URL should be a PostgreSQL address: a dyno's disk, and SQLite on it, is not kept")
    return url


def _names_a_database(url: str) -> bool:
    """Whether this is a PostgreSQL database, or a file of SQLite's that several processes can open."""
    try:
        parts: URL = make_url(url)
    except (ArgumentError, ValueError):
        return False
    if parts.drivername == "sqlite":
        return not parts.host and parts.database not in {None, "", ":memory:"}
    return parts.drivername in _DRIVERS.values()


def _secret_keys(env: Env, instance: Path, database_url: str) -> tuple[str, ...]:
    """The first key signs and encrypts, the others only verify and decrypt (rotation)."""
    keys = tuple(key for key in (part.strip() for part in env.str("SECRET_KEY", "").split(",")) if key)
    if keys:
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise SettingsError(
                f"SECRET_KEY should be at least {SHORTEST_KEY} characters, or several such keys with commas between"
            )
        return keys
    if not database_url.startswith("sqlite"):
        raise SettingsError("SECRET_KEY should be set to a long random text: it encrypts the secrets in the database")
    return (_kept_key(instance / "secret_key"),)


def _kept_key(path: Path) -> str:
    """The key made at the first start. Created in one step, so that two first starts agree on one key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    if not path.exists():
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was faster: its key counts
        fresh.unlink()
    key = path.read_text().strip()
    if len(key) < SHORTEST_KEY:
        raise SettingsError(f"{path} is damaged: put the key back from a backup, or set SECRET_KEY")
    return key


def _recordings_url(env: Env) -> str:
    """`s3://BUCKET/PREFIX`, `file:///FOLDER`, or empty for the instance's own folder. A plain path is a folder too."""
    value = env.str("RECORDINGS_URL", "").strip()
    parts = address_parts(value)
    if not value or (parts.scheme == "s3" and _is_bucket(parts.netloc) and _names_a_server(parts.query)):
        return value
    if parts.scheme in {"", "file"} and parts.path and parts.netloc in {"", "localhost"} and not parts.query:
        return _folder(Path(unquote(parts.path)).absolute())
    raise SettingsError("RECORDINGS_URL should be s3://BUCKET/PREFIX, or a folder as file:///FOLDER")


def _folder(path: Path) -> str:
    """The folder's address, once it is there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"RECORDINGS_URL should be a folder that can be made: {error}") from None
    return path.as_uri()


def _is_bucket(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", name))


def _names_a_server(query: str) -> bool:
    """Whether there is nothing else in the query than the storage's address and region."""
    given = parse_qs(query, keep_blank_values=True)
    return given.keys() <= {"endpoint", "region"} and is_web_address(given.get("endpoint", ["https://s3.example"])[0])


def _own_address(env: Env, host: str, port: int) -> str:
    """Heroku names the application's own address where its dyno metadata are on (Dev Center, "Dyno Metadata")."""
    name = env.str("HEROKU_APP_DEFAULT_DOMAIN_NAME", "")
    return f"https://{name}" if name else f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _number(env: Env, name: str, default: Number, what: str, span: tuple[int, int]) -> Number:
    """A number of the default's kind; an empty text, as forms of platforms leave it, is no value."""
    text = env.str(name, "").strip()
    try:
        number = type(default)(text) if text else default
    except ValueError:
        number = None
    if number is None or not span[0] <= number <= span[1]:
        raise SettingsError(f"{name} should be {what} from {span[0]} to {span[1]}, not {text!r}")
    return number


def _switch(env: Env, name: str) -> bool:
    return _one_of(env, name, ("0", "1"), "0") == "1"


def _one_of(env: Env, name: str, choices: tuple[str, ...], default: str) -> str:
    value = env.str(name, default).strip() or default
    found = next((choice for choice in choices if choice.lower() == value.lower()), None)
    if found is None:
        raise SettingsError(f"{name} should be one of {', '.join(choices)}, not {value!r}")
    return found


def _sentry_dsn(env: Env) -> str:
    """`https://KEY@HOST/PROJECT`, as Sentry shows it."""
    value = env.str("SENTRY_DSN", "").strip()
    parts = address_parts(value)
    project = parts.path.rpartition("/")[2]
    if value and not (parts.scheme in {"http", "https"} and parts.hostname and parts.username and project.isdecimal()):
        raise SettingsError("SENTRY_DSN should be as Sentry shows it, https://KEY@HOST/PROJECT")
    return value


def _redis_url(env: Env) -> str:
    """`redis://` or `rediss://`; the value is not shown: it may have a password."""
    value = env.str("REDIS_URL", "").strip()
    parts = address_parts(value)
    if value and not (parts.scheme in {"redis", "rediss"} and parts.hostname):
        raise SettingsError("REDIS_URL should be redis://HOST:PORT or rediss://USER:PASSWORD@HOST:PORT")
    return value


def _web_address(env: Env, name: str, default: str) -> str:
    value = env.str(name, "").strip() or default
    if not is_web_address(value):
        raise SettingsError(f"{name} should be a web address such as https://host, without a user name or a query")
    return value.rstrip("/")
