"""Where Evrotel fetches the audio files of campaigns: unguessable addresses that are good for an hour."""

from __future__ import annotations

from flask import Blueprint, Response, abort

from connector.autodial.media import shown_wav
from connector.deployment import deployment
from connector.locks import Lock, locked_by

blueprint = Blueprint("autodial_media", __name__, url_prefix="/autodial/media")


@blueprint.get("/<nonce>/<name>.wav")
@locked_by(Lock.SIGNED_LINK)
def fetch(nonce: str, name: str) -> Response:  # noqa: ARG001 - Evrotel takes the file's name from the address
    """The WAV file itself."""
    wav = shown_wav(deployment(), nonce) if nonce.isalnum() else None
    if wav is None:
        abort(404)
    return Response(wav, mimetype="audio/x-wav", headers={"Cache-Control": "no-store"})
