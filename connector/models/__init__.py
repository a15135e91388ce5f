"""The tables. Times are aware UTC, numbers of people E.164 with a plus; see `design` in the README for the words."""

from __future__ import annotations

from connector.models.autodial import (
    Campaign,
    CampaignNumber,
    CampaignNumberState,
    CampaignStatus,
    DoNotCall,
    Media,
    MediaState,
)
from connector.models.base import Base, UTCDateTime
from connector.models.callbacks import CallbackRequest, CallbackState, ConsentText, LimitWindow
from connector.models.calls import Call, CallState, InboundEvent
from connector.models.connections import (
    Connection,
    Counter,
    CRMAccount,
    Customer,
    Extension,
    InstallOffer,
    OneUse,
    RateLimit,
    Reconciliation,
)
from connector.models.deliveries import (
    REACHED_BY,
    STEPS,
    Announcement,
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Lane,
)
from connector.models.dials import Dial, DialOrigin, DialState
from connector.models.recordings import Recording, RecordingPlay, RecordingState
from connector.models.users import APIKey, Role, SignInFailure, SignInLink, User

__all__ = [
    "REACHED_BY",
    "STEPS",
    "APIKey",
    "Announcement",
    "Attempt",
    "Base",
    "CRMAccount",
    "Call",
    "CallState",
    "CallbackRequest",
    "CallbackState",
    "Campaign",
    "CampaignNumber",
    "CampaignNumberState",
    "CampaignStatus",
    "Connection",
    "ConsentText",
    "Counter",
    "Customer",
    "Delivery",
    "DeliveryKind",
    "DeliveryState",
    "Dial",
    "DialOrigin",
    "DialState",
    "DoNotCall",
    "Extension",
    "InboundEvent",
    "InstallOffer",
    "Lane",
    "LimitWindow",
    "Media",
    "MediaState",
    "OneUse",
    "RateLimit",
    "Reconciliation",
    "Recording",
    "RecordingPlay",
    "RecordingState",
    "Role",
    "SignInFailure",
    "SignInLink",
    "UTCDateTime",
    "User",
]
