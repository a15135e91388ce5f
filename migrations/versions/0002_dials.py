"""Requests to dial, what a CRM said of a call, all of a CRM's users.

Old code still runs while this applies: only add, with defaults; remove what nothing uses any more a release later.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("kind", sa.String(length=10), nullable=False, server_default="normal"))
    op.add_column("calls", sa.Column("expected", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("calls", sa.Column("crm_user_id", sa.String(length=64), nullable=True))
    op.add_column("calls", sa.Column("crm_notes", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("crm_accounts", sa.Column("users", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("crm_accounts", sa.Column("echoed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "dials",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=500), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("extensions", sa.JSON(), nullable=False),
        sa.Column("mediafile", sa.String(length=200), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_dials_connection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_dials_call_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dials")),
        sa.UniqueConstraint("connection_id", "key", name=op.f("uq_dials_connection_id_key")),
        sa.UniqueConstraint("call_id", name=op.f("uq_dials_call_id")),
    )
    op.create_index("ix_dials_due", "dials", ["state", "due_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_dials_due", table_name="dials")
    op.drop_table("dials")
    for column in ("echoed_at", "users"):
        op.drop_column("crm_accounts", column)
    for column in ("crm_notes", "crm_user_id", "expected", "kind"):
        op.drop_column("calls", column)
