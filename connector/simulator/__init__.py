"""Plays Evrotel: its transmitter, a small company's calls, and the host of the recordings."""
