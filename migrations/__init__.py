"""The schema's history: Alembic, numbered, both directions."""
