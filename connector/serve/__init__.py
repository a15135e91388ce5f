"""Processes: the web server, and the parent that keeps web server and worker running."""
