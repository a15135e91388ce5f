"""What is right and wrong with a base. Reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crm_adapters.contract import Account, Finding
from crm_adapters.errors import AdapterError, SignInRefused, Unreachable
from crm_adapters.findings import doubtful, right, some_of, wrong
from crm_adapters.onec import mapping
from crm_adapters.onec.answers import NoSuchKey
from crm_adapters.onec.client import Base
from crm_adapters.onec.documents import as_key, state_key
from crm_adapters.onec.fields import LOOKUP, TELEPHONY
from crm_adapters.onec.metadata import Schema
from crm_adapters.onec.profiles import PROFILES, Profile, contact_sets, recognised
from crm_adapters.onec.telephony import TelephonyAPI
from crm_adapters.settings import parse_user_by_extension
from crm_adapters.texts import marked as _

SECONDS = 60.0
MOST_USERS = 50
GONE = "Недействителен"
"""A property of those who have left, in Пользователи and Сотрудники."""


def check(account: Account) -> list[Finding]:
    """All findings, as far as 1C answers. Raises nothing of 1C's."""
    findings: list[Finding] = []
    try:
        if account.settings.get("onec_profile") == TELEPHONY:
            TelephonyAPI(account, SECONDS).check()
            return [right("1c", _("УНФ's telephony service answers"))]
        with Base(account, SECONDS) as base:
            for finding in _check_odata(base):
                findings.append(finding)  # noqa: PERF402 - those before what fails are kept
    except AdapterError as error:
        findings.append(
            wrong("1c", _("1C can't be asked: %(why)s"), _("Mend that; calls are kept meanwhile."), why=str(error))
        )
    return findings


def _check_odata(base: Base) -> Iterator[Finding]:
    schema = base.schema(lasts=0.0)
    named = base.account.settings.get("onec_profile", "")
    profile = PROFILES.get(named) or recognised(schema)
    if profile is None:
        yield wrong(
            "1c",
            _("the base publishes no document of a call and no catalog of contacts"),
            _(
                "Add Document_ТелефонныйЗвонок or Document_Событие and the catalogs to the composition of the OData "
                "interface; a configuration without interactions can only look names up."
            ),
        )
        return
    yield right("1c", _("the base answers; its profile is %(profile)s"), profile=profile.name)
    if profile.name == LOOKUP and not named:
        yield doubtful(
            "1c-document",
            _("the base publishes no document of a call: no call is written, names alone are looked up"),
            _(
                "Add Document_ТелефонныйЗвонок or Document_Событие to the composition of the OData interface, or set "
                "onec_profile=lookup-only."
            ),
        )
    yield from _properties(schema, profile)
    yield _contacts(schema, profile)
    needed = [profile.document, profile.states, profile.users if profile.document else ""]
    unreadable = list(_unreadable(base, [*filter(schema.has, needed), *contact_sets(schema, profile)]))
    yield from unreadable
    if profile.users not in {each.values["set"] for each in unreadable}:
        yield from _users(base, schema, profile)
    yield from _states(base, profile)


def _properties(schema: Schema, profile: Profile) -> Iterator[Finding]:
    """1C ignores properties that it does not know, without a word: so each is compared."""
    if not profile.document:
        return
    if not schema.has(profile.document):
        yield wrong(
            "1c-document",
            _("the base does not publish %(set)s"),
            _("Add it to the composition of the OData interface, or set another onec_profile."),
            set=profile.document,
        )
        return
    missing = schema.lacks(profile.document, profile.properties)
    if profile.table and schema.has(profile.table):
        missing += [f"{profile.table}.{each}" for each in schema.lacks(profile.table, profile.table_properties)]
    if missing:
        yield wrong(
            "1c-document",
            _("%(set)s has no %(missing)s: 1C would lose that without a word"),
            _("Choose the profile that fits this configuration, or tell us of it."),
            set=profile.document,
            missing=", ".join(missing),
        )
    else:
        yield right("1c-document", _("%(set)s has all that is written"), set=profile.document)


def _unreadable(base: Base, names: list[str]) -> Iterator[Finding]:
    """Whether the user's rights are enough: a set may be published that they may not read."""
    for name in names:
        try:
            base.rows(name, select="Ref_Key", top="1")
        except (SignInRefused, Unreachable):
            raise
        except AdapterError as error:
            yield wrong(
                "1c-rights",
                _("%(set)s can't be read: %(why)s"),
                _("Give the 1C user the roles for OData and for interactions."),
                set=name,
                why=str(error),
            )


def _contacts(schema: Schema, profile: Profile) -> Finding:
    found = contact_sets(schema, profile)
    if found:
        return right("1c-contacts", _("callers are looked for in %(names)s"), names=some_of(found))
    return doubtful(
        "1c-contacts",
        _("no catalog of contacts is published: callers stay without names"),
        _("Add one of %(names)s with its contact information to the composition of the OData interface."),
        names=", ".join(profile.contacts),
    )


def _users(base: Base, schema: Schema, profile: Profile) -> Iterator[Finding]:
    """Whether those whom extensions belong to are there."""
    if not profile.document:
        return
    if not schema.has(profile.users):
        yield doubtful(
            "1c-users",
            _("%(set)s is not published: those responsible can't be checked"),
            _("Add it to the composition of the OData interface."),
            set=profile.users,
        )
        return
    settings = base.account.settings
    mapped = {*parse_user_by_extension(settings.get("extensions", "")).values(), settings.get("default_user", "")}
    gone = [user_id for user_id in sorted(mapped - {""}) if not _is_there(base, profile, user_id)]
    if gone:
        yield wrong(
            "1c-users",
            _("%(set)s has no %(users)s"),
            _("Set extensions=EXT=GUID anew; there are %(there)s."),
            set=profile.users,
            users=some_of(gone),
            there="; ".join(_named(base, profile)) or "-",
        )
    elif mapped - {""}:
        yield right("1c-users", _("all users that extensions belong to are in %(set)s"), set=profile.users)
    else:
        yield doubtful(
            "1c-users",
            _("no extension belongs to anybody; there are %(users)s"),
            _("Set extensions=EXT=GUID,... so that calls have somebody responsible."),
            users="; ".join(_named(base, profile)) or "-",
        )


def _named(base: Base, profile: Profile) -> list[str]:
    """Who may be responsible, with their keys."""
    rows = base.rows(profile.users, top=str(MOST_USERS))
    return [f"{row.get('Description')} = {row.get('Ref_Key')}" for row in rows if not _has_left(row)]


def _is_there(base: Base, profile: Profile, user_id: str) -> bool:
    try:
        return as_key(user_id) is not None and not _has_left(base.get(profile.users, user_id))
    except NoSuchKey:
        return False


def _has_left(row: Mapping[str, Any]) -> bool:
    """Whether the base keeps somebody for the past alone."""
    return bool(row.get("DeletionMark") or row.get(GONE))


def _states(base: Base, profile: Profile) -> Iterator[Finding]:
    if not profile.states:
        return
    lacking = [
        name for name in (mapping.DONE, mapping.PLANNED, mapping.CANCELLED) if not state_key(base, profile, name)
    ]
    if lacking:
        yield doubtful(
            "1c-states",
            _("%(set)s has no %(states)s"),
            _("Add it to the composition of the OData interface; documents stay without a state."),
            set=profile.states,
            states=", ".join(lacking),
        )
