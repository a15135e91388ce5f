"""Alembic's entry: runs migrations on the connection that `migrations.schema` or the tests hand over."""

from __future__ import annotations

from alembic import context

from connector.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    compare_type=True,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite can't alter most of a table in place
)
with context.begin_transaction():
    context.run_migrations()
