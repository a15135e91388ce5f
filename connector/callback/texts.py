"""What visitors of sites read, in their language: the form, what becomes of a request, why one is refused."""

from __future__ import annotations

from crm_adapters.texts import marked as _

CONSENT = _("I agree that my phone number is processed so that I can be called back.")

FORM = {
    "button": _("Call me back"),
    "title": _("We will call you back"),
    "lead": _("Leave your number: we call you within %(seconds)s seconds."),
    "closed": _("We are closed at the moment. When shall we call you?"),
    "choose": _("When shall we call you?"),
    "phone": _("Your phone number"),
    "send": _("Call me now"),
    "send_later": _("Call me then"),
    "later": _("Choose another time"),
    "now": _("Call me at once"),
    "when": _("Time of the call"),
    "opening": _("As soon as we open: %(time)s"),
    "policy": _("Privacy policy"),
    "close": _("Close"),
    "loading": _("One moment…"),
    "left": _("%(seconds)s s"),
    "ten_left": _("10 seconds left."),
    "calling_operator": _("We are calling our operator. Your phone rings as soon as they pick up."),
    "waiting": _("The operator has not picked up yet, we go on trying. You can wait, or choose another time."),
    "calling_client": _("The operator is there: please answer your phone."),
    "connected": _("You were connected. Thank you for your call!"),
    "no_operator": _("Sorry, none of our operators could pick up."),
    "again_at": _("Sorry, none of our operators could pick up. We try once more: %(time)s."),
    "no_client": _("We called you and did not reach you."),
    "failed": _("Sorry, the call could not be made."),
    "scheduled": _("Agreed: we call you %(time)s."),
    "again": _("Ask once more"),
    "or_call": _("Or call us:"),
    "network": _("There is no connection to our server. Please try again in a moment."),
    "phone_empty": _("Please enter your phone number."),
    "consent_empty": _("Please agree to this first."),
    "shut": _("We are closed at the moment."),
}
"""By the name that the form's script has for it. The script puts in what stands as %(...)s."""

FIRST = ("button", "title", "close", "loading", "network", "again", "or_call")
"""Those that the loader has already."""

REFUSALS: dict[str, tuple[int, str]] = {
    "origin": (403, _("This site is not in the list of sites that may ask for calls (callback_origins).")),
    "body": (400, _("The request can't be read: it should be JSON or a form with a field phone.")),
    "bot": (422, _("This does not look like a person's request.")),
    "token": (422, _("The form's token is not right: please open the form again.")),
    "token_expired": (422, _("The form was open for too long: please send it once more.")),
    "token_used": (409, _("This form was sent before: please open it again.")),
    "phone_invalid": (422, _("This is no phone number that can be called. Please check it.")),
    "phone_not_allowed": (422, _("We can't call this number. Please leave a mobile or a city number.")),
    "consent_required": (422, _("Please agree to the processing of your number first.")),
    "slot_unfit": (422, _("We don't work at this time. Please choose another one.")),
    "closed": (409, _("We are closed at the moment.")),
    "number": (429, _("This number has just asked for a call. Please wait a little.")),
    "address": (429, _("Too many requests came from you. Please try again later.")),
    "site": (429, _("Too many calls were asked for on this site. Please try again later.")),
    "tokenless": (429, _("Too many calls were asked for without the form. Please try again later.")),
    "ceiling": (503, _("Too many calls are asked for just now, so we take no more for a while.")),
    "unavailable": (503, _("Calls can't be asked for here at the moment.")),
}
"""By reason: the status of the answer and what the visitor reads."""

ERRORS = dict.fromkeys(("number", "address", "site", "tokenless"), "too_many") | {"ceiling": "paused"}
"""What a reason is called in the answer where that is not its own name."""

ORIGIN = _("Call-back button")
ORIGIN_PAGE = _("Page: %(page)s")
ORIGIN_REFERRER = _("Came from: %(referrer)s")
ORIGIN_UTM = _("Tags: %(tags)s")
"""What the CRM reads of where the visitor was."""
