"""The panel's forms. Whatever stands in them was typed by someone: fields are checked here and shown again escaped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, PasswordField, SelectChoice, SelectField, StringField
from wtforms.validators import DataRequired, EqualTo, Length, Regexp, ValidationError

from connector.connections.keys import fields_of
from connector.connections.places import check_place
from connector.connections.store import NAME, Connection
from connector.deployment import deployment
from connector.panel.labels import CHOICES, setting_error
from connector.panel.signin import LEAST_PASSWORD, LONGEST_NAME, LONGEST_PASSWORD
from crm_adapters.settings import Field as Setting

_FILL_IN = lazy_gettext("Please fill this in.")
_PASSWORD_LENGTH = Length(
    LEAST_PASSWORD,
    LONGEST_PASSWORD,
    lazy_gettext("A password has 10 to 200 characters."),
)
CLEAR = "clear_"


class SignInForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF ships no annotations
    name = StringField(
        lazy_gettext("Name"),
        [DataRequired(_FILL_IN), Length(max=200)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    password = PasswordField(
        lazy_gettext("Password"), [DataRequired(_FILL_IN)], render_kw={"autocomplete": "current-password"}
    )


class NewPasswordForm(FlaskForm):  # type: ignore[misc]  # as above
    current = PasswordField(lazy_gettext("Current password"), render_kw={"autocomplete": "current-password"})
    password = PasswordField(
        lazy_gettext("New password"),
        [DataRequired(_FILL_IN), _PASSWORD_LENGTH],
        description=lazy_gettext("At least 10 characters; several words are easier to remember than signs."),
        render_kw={"autocomplete": "new-password"},
    )
    again = PasswordField(
        lazy_gettext("The same again"),
        [EqualTo("password", lazy_gettext("The two passwords differ."))],
        render_kw={"autocomplete": "new-password"},
    )


class SetUpForm(FlaskForm):  # type: ignore[misc]  # as above
    token = PasswordField(
        lazy_gettext("Set-up token"),
        [DataRequired(_FILL_IN)],
        description=lazy_gettext("The value of SETUP_TOKEN in the application's settings."),
        render_kw={"autocomplete": "off"},
    )
    name = StringField(
        lazy_gettext("Your name in the panel"),
        [DataRequired(_FILL_IN), Length(max=LONGEST_NAME)],
        render_kw={"autocomplete": "username"},
    )
    password = PasswordField(
        lazy_gettext("New password"),
        [DataRequired(_FILL_IN), _PASSWORD_LENGTH],
        description=lazy_gettext("At least 10 characters; several words are easier to remember than signs."),
        render_kw={"autocomplete": "new-password"},
    )


def connection_form(crm: str, connection: Connection | None) -> FlaskForm:
    """A form drawn from the settings of a CRM; for a new connection it also asks for the name.

    Kept secrets are never put into the page: an empty secret field keeps what is kept, a tick forgets it.
    """
    fields: dict[str, Any] = {}
    if connection is None:
        fields["name"] = StringField(
            lazy_gettext("Name of the connection"),
            [
                DataRequired(_FILL_IN),
                Regexp(f"^{NAME.pattern}$", message=lazy_gettext("1 to 40 of a-z, 0-9 and -")),
            ],
            description=lazy_gettext("A part of its addresses: 1 to 40 of a-z, 0-9 and -. It can't be changed later."),
            render_kw={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"},
        )
    for setting in fields_of(crm):
        fields[setting.key] = setting_field(setting, connection)
        if setting.secret and connection is not None and connection.values.get(setting.key):
            fields[CLEAR + setting.key] = BooleanField(lazy_gettext("Forget the kept value"))
    return type("ConnectionForm", (FlaskForm,), fields)()


def given_values(form: FlaskForm, crm: str) -> dict[str, str]:
    """What the form changes, by key: untouched secrets are left out."""
    values: dict[str, str] = {}
    for setting in fields_of(crm):
        given = (form[setting.key].data or "").strip()
        if not setting.secret or given:
            values[setting.key] = given
        elif CLEAR + setting.key in form and form[CLEAR + setting.key].data:
            values[setting.key] = ""
    return values


def setting_field(setting: Setting, connection: Connection | None) -> Field:
    """The field of a form for a setting, filled with what is kept, unless that is secret."""
    kept = connection.values.get(setting.key, "") if connection else ""
    common: dict[str, Any] = {
        "label": lazy_gettext(setting.label),
        "description": lazy_gettext(setting.help) if setting.help else "",
        "validators": [_clean(setting)],
    }
    if setting.choices:
        choices = [SelectChoice(choice, CHOICES.get(choice, choice)) for choice in setting.choices]
        return SelectField(choices=choices, default=kept or setting.default, validate_choice=False, **common)
    if setting.secret:
        text = lazy_gettext("set: leave empty to keep it") if kept else lazy_gettext("not set")
        hints = {"autocomplete": "new-password", "placeholder": text, "spellcheck": "false"}
        return PasswordField(render_kw=hints, **common)
    hints = {"autocomplete": "off", "placeholder": setting.default, "spellcheck": "false"}
    return StringField(default=kept, render_kw=hints, **common)


def _clean(setting: Setting) -> Callable[[FlaskForm, Field], None]:
    def check(_: FlaskForm, field: Field) -> None:
        try:
            value = setting.clean(field.data or "")
            check_place(setting, value, allow_local=deployment().settings.allow_local_addresses)
        except ValueError as error:
            raise ValidationError(setting_error(error)) from None

    return check


def too_many_tries(seconds: int) -> str:
    """What a blocked visitor reads."""
    return str(gettext("Too many failed tries. Try again in %(seconds)s s.", seconds=seconds))
