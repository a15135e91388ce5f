"""The words shown for the values that the database keeps, and how each one looks."""

from __future__ import annotations

from flask_babel import gettext, lazy_gettext

from connector.texts import DIAL_REASONS

DIRECTIONS = {"incoming": lazy_gettext("Incoming"), "outgoing": lazy_gettext("Outgoing")}

DISPOSITIONS = {
    "answered": (lazy_gettext("Answered"), "success"),
    "busy": (lazy_gettext("Busy"), "warning"),
    "no_answer": (lazy_gettext("No answer"), "danger"),
    "congestion": (lazy_gettext("Network busy"), "warning"),
    "failed": (lazy_gettext("Failed"), "danger"),
}
"""Text and Bootstrap colour."""

CALL_STATES = {"open": lazy_gettext("In progress"), "ended": lazy_gettext("Ended")}

SOURCES = {"event": lazy_gettext("event from the PBX"), "records": lazy_gettext("the PBX's call records")}

KINDS = {
    "start": lazy_gettext("Start of the call"),
    "finish": lazy_gettext("End of the call"),
    "recording": lazy_gettext("Recording"),
    "task": lazy_gettext("Task to call back"),
    "returned": lazy_gettext("Task done"),
    "notice": lazy_gettext("Notice to the employee"),
    "workflow": lazy_gettext("Answer to the robot"),
}

STEPS = {
    "tokens": lazy_gettext("Sign-in"),
    "events": lazy_gettext("Events"),
    "lines": lazy_gettext("Lines"),
    "users": lazy_gettext("Employees"),
    "placement": lazy_gettext("Call card"),
    "robots": lazy_gettext("Automation"),
    "callback": lazy_gettext("Call-back button"),
    "state": lazy_gettext("State"),
    "settings": lazy_gettext("Settings"),
    "evrotel": "Evrotel",
    "deliveries": lazy_gettext("Deliveries"),
    "crm": "CRM",
    "installed": lazy_gettext("Installation"),
    "signed-in": lazy_gettext("Sign-in"),
    "scopes": lazy_gettext("Permissions"),
    "round-trip": lazy_gettext("Way back from the CRM"),
    "outgoing-line": lazy_gettext("Clicks on numbers"),
    "duplicate-extension": lazy_gettext("Inner number twice"),
    "users-without-extension": lazy_gettext("Employees without an inner number"),
    "unknown-extensions": lazy_gettext("Unknown inner numbers"),
    "integration": lazy_gettext("Integration"),
    "unsorted": lazy_gettext("Unsorted"),
    "users-gone": lazy_gettext("Inner numbers of those who are gone"),
    "address": lazy_gettext("Address"),
    "records": lazy_gettext("Call records"),
    "recordings": lazy_gettext("Recordings"),
    "webhook": lazy_gettext("Webhook"),
    "1c": "1C",
    "1c-rights": lazy_gettext("Permissions"),
    "1c-document": lazy_gettext("Document of a call"),
    "1c-contacts": lazy_gettext("Contacts"),
    "1c-users": lazy_gettext("Employees"),
    "1c-states": lazy_gettext("States of events"),
}
"""What a step of setting up or of a check is called; one that has no name here is shown by its own."""

DELIVERY_STATES = {
    "waiting": (lazy_gettext("Waiting for the recording"), "secondary"),
    "pending": (lazy_gettext("To be sent"), "info"),
    "done": (lazy_gettext("Sent"), "success"),
    "expired": (lazy_gettext("Not sent"), "secondary"),
    "dead": (lazy_gettext("Failed for good"), "danger"),
    "given_up": (lazy_gettext("Given up"), "secondary"),
}

DIAL_ORIGINS = {
    "click": lazy_gettext("A number clicked in the CRM"),
    "callback": lazy_gettext("A client who asked to be called back"),
    "robot": lazy_gettext("A robot of the CRM"),
    "api": lazy_gettext("A program by the HTTP API"),
    "link": lazy_gettext("A link in a document or page"),
    "campaign": lazy_gettext("An autodial campaign"),
    "site": lazy_gettext("A visitor of a site, by the call-back button"),
}

DIAL_STATES = {
    "pending": (lazy_gettext("To be dialled"), "info"),
    "sent": (lazy_gettext("Evrotel is being asked"), "info"),
    "accepted": (lazy_gettext("Evrotel has accepted it"), "info"),
    "started": (lazy_gettext("Begun"), "success"),
    "failed": (lazy_gettext("Not made"), "danger"),
}

CAMPAIGN_STATES = {
    "draft": (lazy_gettext("Being prepared"), "secondary"),
    "running": (lazy_gettext("Running"), "live"),
    "paused": (lazy_gettext("Paused"), "warning"),
    "stopped": (lazy_gettext("Stopped"), "secondary"),
    "finished": (lazy_gettext("Finished"), "success"),
}

NUMBER_STATES = {
    "waiting": (lazy_gettext("To be called"), "secondary"),
    "calling": (lazy_gettext("Being called"), "live"),
    "done": (lazy_gettext("Done"), "success"),
    "skipped": (lazy_gettext("Not called"), "secondary"),
}

RESULTS = DISPOSITIONS | {
    "unclear": (lazy_gettext("Unclear"), "warning"),
    "do_not_call": (lazy_gettext("On the do-not-call list"), "secondary"),
    "stopped": (lazy_gettext("The campaign was stopped"), "secondary"),
    "too_late": (lazy_gettext("The campaign's time was over"), "secondary"),
}
"""What has become of a campaign's number."""

TEST_STATES = {
    "due": (lazy_gettext("Your phone will ring in a moment"), "info"),
    "calling": (lazy_gettext("Your phone rings"), "live"),
    "answered": (lazy_gettext("Somebody has heard the message"), "success"),
    "failed": (lazy_gettext("The test call failed"), "danger"),
}

MEDIA_STATES = {
    "pending": (lazy_gettext("Not at Evrotel yet"), "warning"),
    "saved": (lazy_gettext("At Evrotel"), "success"),
    "refused": (lazy_gettext("Refused by Evrotel"), "danger"),
}

CALLBACK_STATES = {
    "scheduled": (lazy_gettext("Scheduled"), "info"),
    "calling_operator": (lazy_gettext("Calling the operator"), "live"),
    "calling_client": (lazy_gettext("Calling the client"), "live"),
    "calling": (lazy_gettext("Calling"), "live"),
    "connected": (lazy_gettext("Put through"), "success"),
    "no_operator": (lazy_gettext("No operator picked up"), "danger"),
    "no_client": (lazy_gettext("The client was not reached"), "warning"),
    "failed": (lazy_gettext("Not made"), "danger"),
}

REFUSALS = {
    "origin": lazy_gettext("Another site than those of the list"),
    "body": lazy_gettext("Unreadable"),
    "bot": lazy_gettext("A program filled in the trap"),
    "token": lazy_gettext("A form token that is not ours"),
    "token_expired": lazy_gettext("An old form token"),
    "token_used": lazy_gettext("A form token that was used"),
    "phone_invalid": lazy_gettext("No phone number"),
    "phone_not_allowed": lazy_gettext("A number that may not be called"),
    "consent_required": lazy_gettext("Without consent"),
    "slot_unfit": lazy_gettext("A time outside working hours"),
    "closed": lazy_gettext("Outside working hours"),
    "number": lazy_gettext("Limit for one number"),
    "address": lazy_gettext("Limit for one address"),
    "site": lazy_gettext("Limit for one site"),
    "tokenless": lazy_gettext("Limit for requests without a form token"),
    "ceiling": lazy_gettext("The ceiling of all requests"),
    "unavailable": lazy_gettext("Could not be taken: settings or database"),
}
"""By reason of a refused request of the call-back button."""

ROLES = {
    "admin": lazy_gettext("Administrator"),
    "supervisor": lazy_gettext("Supervisor"),
    "agent": lazy_gettext("Agent"),
}

FINDINGS = {
    "ok": (lazy_gettext("Right"), "success"),
    "warning": (lazy_gettext("Attention"), "warning"),
    "error": (lazy_gettext("Wrong"), "danger"),
}

RECORDING_STATES = {
    "pending": lazy_gettext("The recording is still being fetched from Evrotel."),
    "ready": lazy_gettext("You may not listen to this recording."),
    "missing": lazy_gettext("Evrotel has no recording of this call."),
    "forgotten": lazy_gettext("The recording was deleted."),
}
"""Why there is nothing to play, where there is nothing."""

WAYS = {
    "panel": lazy_gettext("in the panel"),
    "frame": lazy_gettext("in the CRM"),
    "download": lazy_gettext("saved the file"),
}
"""How somebody listened."""

CHOICES = {
    "uk": "Українська",
    "ru": "Русский",
    "en": "English",
    "none": lazy_gettext("for nobody"),
    "incoming": lazy_gettext("for incoming calls"),
    "all": lazy_gettext("for all calls"),
    "auto": lazy_gettext("where they can be read"),
    "on": lazy_gettext("yes, and warn where they can't be read"),
    "off": lazy_gettext("no"),
    "yes": lazy_gettext("yes"),
    "no": lazy_gettext("no"),
    "keep": lazy_gettext("kept by us"),
    "proxy": lazy_gettext("asked from Evrotel each time"),
    "link": lazy_gettext("Evrotel's address is passed on"),
    "agent": lazy_gettext("employees too"),
    "supervisor": lazy_gettext("supervisors and administrators"),
    "admin": lazy_gettext("administrators only"),
    "slots": lazy_gettext("the visitor chooses a time"),
    "closed": lazy_gettext("no calls can be asked for"),
    "rand": lazy_gettext("at random"),
    "inline": lazy_gettext("one after the other"),
    "bsp": lazy_gettext("Standard library (BSP)"),
    "unf": lazy_gettext("Small business management (UNF)"),
}
"""What a setting's choice is called; one that is not here is shown as it is."""

ALL = {
    "DIRECTIONS": DIRECTIONS,
    "DISPOSITIONS": DISPOSITIONS,
    "CALL_STATES": CALL_STATES,
    "SOURCES": SOURCES,
    "KINDS": KINDS,
    "DELIVERY_STATES": DELIVERY_STATES,
    "ROLES": ROLES,
    "FINDINGS": FINDINGS,
    "RECORDING_STATES": RECORDING_STATES,
    "WAYS": WAYS,
    "STEPS": STEPS,
    "DIAL_REASONS": DIAL_REASONS,
    "DIAL_ORIGINS": DIAL_ORIGINS,
    "DIAL_STATES": DIAL_STATES,
    "CAMPAIGN_STATES": CAMPAIGN_STATES,
    "NUMBER_STATES": NUMBER_STATES,
    "RESULTS": RESULTS,
    "TEST_STATES": TEST_STATES,
    "MEDIA_STATES": MEDIA_STATES,
    "CALLBACK_STATES": CALLBACK_STATES,
    "REFUSALS": REFUSALS,
}
"""For the templates."""


def setting_error(error: ValueError) -> str:
    """`KEY should be MEANING` without the key, translated: the message stands at its field."""
    _, separator, meaning = str(error).partition(" should be ")
    return str(gettext("This should be %(what)s.", what=gettext(meaning)) if separator else gettext(str(error)))
