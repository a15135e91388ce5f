"""Translators between calls and CRMs: one folder for each CRM, knowing nothing of the service around them."""
