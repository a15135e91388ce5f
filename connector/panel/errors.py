"""An error of a panel page as a panel page."""

from __future__ import annotations

from flask import render_template
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException


def error_page(error: HTTPException) -> HTTPException | tuple[str, int]:
    """Says in the visitor's language what is wrong; nothing of the error's inside."""
    if error.code is None or error.response is not None:
        return error  # a redirect, or made whole by whoever raised it
    texts = {
        400: gettext("The request could not be understood."),
        403: gettext("You are not allowed to see or do this."),
        404: gettext("There is nothing at this address, or it is not for you to see."),
        405: gettext("This address can't be opened like this."),
        413: gettext("That was too much at once."),
    }
    text = texts.get(error.code, gettext("Something went wrong. It was written down; please try again."))
    if isinstance(error, CSRFError):
        text = gettext("The page was too old, or came from elsewhere. Go back, load it anew and try again.")
    return render_template("panel/error.html", text=text), error.code
