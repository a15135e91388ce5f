"""The service: takes Evrotel's call events in, keeps them, and tells CRMs until they have heard."""

__version__ = "0.1.0"
