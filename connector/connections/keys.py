"""What can be set of a connection, by whichever CRM: the keys of `connection set KEY=VALUE` and of the panel's form."""

from __future__ import annotations

import dataclasses
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers

from connector.callback.fields import CALLBACK_FIELDS
from connector.recordings.addresses import parse_hosts
from connector.settings import Settings
from crm_adapters.registry import DESCRIPTIONS, keep_apart
from crm_adapters.settings import Field, matching, user_by_extension, users_by_line, web_address

_NO_PLACES = {"localtime", "posixrules", "factory"}
"""Names that mean another zone on each machine, or none."""


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("a time zone such as Europe/Kyiv") from None
    if value.lower() in _NO_PLACES:
        raise ValueError("a time zone such as Europe/Kyiv")
    return value


def _region(value: str) -> str:
    region = value.upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("a country's two letters such as UA")
    return region


def _hosts(value: str) -> str:
    return ",".join(parse_hosts(value))


def _minutes(value: str) -> str:
    if not value.isdecimal() or int(value) > 7 * 24 * 60:
        raise ValueError("minutes from 0 to 10080")
    return str(int(value))


EVROTEL_FIELDS = (
    Field(
        key="evrotel_token",
        label="Evrotel token",
        help="Given by Evrotel's manager. Where it is left empty one is made up: give it to Evrotel.",
        secret=True,
        check=matching(r"[\x21-\x7e]{8,200}", "at least 8 characters without spaces"),
    ),
    Field(
        key="evrotel_billcode",
        label="Billcode",
        help="Your account's number at Evrotel.",
        check=matching(r"[\w-]{1,40}", "the account's number at Evrotel, such as 20558"),
    ),
    Field(
        key="evrotel_recordings_url",
        label="Recordings host",
        help="The base for the paths of recordings.",
        default="http://m01.sipiko.net/",
        check=web_address,
    ),
    Field(
        key="evrotel_recordings_hosts",
        label="Other hosts of recordings",
        help="Hosts besides that one which recordings may be fetched from, such as files.example.com, commas between.",
        check=_hosts,
    ),
    Field(
        key="evrotel_timezone",
        label="PBX time zone",
        help="Evrotel sends local times without an offset.",
        default="Europe/Kyiv",
        check=_time_zone,
    ),
    Field(
        key="phone_region",
        label="Country of national numbers",
        help="Two letters: 0987858227 becomes +380987858227 in UA.",
        default="UA",
        check=_region,
    ),
    Field(
        key="reconcile",
        label="Comparison with the call records",
        help="Calls that we never heard of are logged afterwards. auto: where Evrotel's records can be read.",
        default="auto",
        choices=("auto", "on", "off"),
    ),
)

RECORDING_FIELDS = (
    Field(
        key="recordings_mode",
        label="Recordings",
        help="Kept by us, asked from Evrotel each time somebody listens, or Evrotel's own address passed on.",
        default="keep",
        choices=("keep", "proxy", "link"),
    ),
    Field(
        key="recordings_for",
        label="Who may listen",
        help="In the panel and in the CRM's frame: admins, supervisors too, or employees too (to their own calls).",
        default="agent",
        choices=("agent", "supervisor", "admin"),
    ),
    Field(
        key="recordings_mask_numbers",
        label="Mask numbers in names of files",
        help="Files are called 2026-11-23 14-05 +380..1234.mp3; no: with the whole number.",
        default="yes",
        choices=("yes", "no"),
    ),
)

DIALLING_FIELDS = (
    Field(
        key="callback_extensions",
        label="Extensions for call-backs",
        help="Who is called first when a client asks to be called back, such as 101,102. A CRM's own form asks the "
        "responsible before them.",
        check=matching(r"\d{1,5}(\s*,\s*\d{1,5})*", "extensions such as 101,102"),
    ),
    Field(
        key="routing",
        label="Choice among extensions",
        help="How Evrotel picks one of several.",
        default="rand",
        choices=("rand", "inline", "all"),
    ),
)

CRM_FIELDS = (
    Field(
        key="language",
        label="Language of what is written into the CRM",
        default="uk",
        choices=("uk", "ru", "en"),
    ),
    Field(
        key="extensions",
        label="Extensions and CRM users",
        help="EXT=CRM_USER_ID,... such as 101=7,102=9. Wins over the inner numbers that the CRM itself knows.",
        check=user_by_extension,
    ),
    Field(
        key="default_user",
        label="Default CRM user",
        help="The CRM user ID for calls that belong to nobody. Empty: whoever installed the application.",
        check=matching(r"[\w-]{1,64}", "a CRM user's ID"),
    ),
    Field(
        key="create_customers",
        label="Create customers",
        help="For whose unknown numbers the CRM creates a lead or contact.",
        default="incoming",
        choices=("none", "incoming", "all"),
    ),
    Field(
        key="line_users",
        label="Lines and CRM users",
        help="LINE=CRM_USER_ID+CRM_USER_ID,...: who sees calls to a line whose client has no responsible user.",
        check=users_by_line,
    ),
    Field(
        key="missed_call_task",
        label="Call-back task, minutes",
        help="When the task to call a missed client back is due. 0: no task, only a notice.",
        default="15",
        check=_minutes,
    ),
    *DIALLING_FIELDS,
    Field(
        key="autodial_numbers",
        label="Autodial numbers",
        help="The numbers that Evrotel's autodial calls from.",
        default="001",
        check=matching(r"\+?\d{1,15}(\s*,\s*\+?\d{1,15})*", "numbers such as 001,002"),
    ),
)


def fields_of(crm: str) -> tuple[Field, ...]:
    """The fields that the panel shows for a connection of this CRM."""
    ours = CRM_FIELDS if crm != "journal" else DIALLING_FIELDS
    return (*EVROTEL_FIELDS, *DESCRIPTIONS[crm].fields, *RECORDING_FIELDS, *ours, *CALLBACK_FIELDS)


_OURS = (*EVROTEL_FIELDS, *RECORDING_FIELDS, *CRM_FIELDS, *CALLBACK_FIELDS)

# A deployment's own variables are among them: both are read from the environment, by the key in upper case.
keep_apart({"crm", *(field.key for field in _OURS), *(variable.name for variable in dataclasses.fields(Settings))})

ALL_FIELDS: dict[str, Field] = {
    field.key: field
    for field in (*_OURS, *(field for description in DESCRIPTIONS.values() for field in description.fields))
}


def clean_values(pairs: dict[str, str]) -> dict[str, str]:
    """Checked values by key, `crm` among them where given. Raises ValueError naming the first wrong key."""
    cleaned: dict[str, str] = {}
    for key, value in pairs.items():
        if key == "crm":
            cleaned[key] = clean_crm(value)
        elif key in ALL_FIELDS:
            cleaned[key] = ALL_FIELDS[key].clean(value)
        else:
            raise ValueError(f"there is no setting {key}; there are crm, {', '.join(sorted(ALL_FIELDS))}")
    return cleaned


def clean_crm(value: str) -> str:
    """A CRM that there is an adapter for. Raises ValueError."""
    if value not in DESCRIPTIONS:
        raise ValueError(f"crm should be one of {', '.join(DESCRIPTIONS)}, not {value!r}")
    return value
