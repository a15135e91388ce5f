"""Announcements: what CRMs hear besides calls.

Old code still runs while this applies: only add, with defaults; remove what nothing uses any more a release later.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "announcements",
        sa.Column("id", _BIG_KEY, nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_announcements_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcements")),
        sa.UniqueConstraint("connection_id", "name", "key", name=op.f("uq_announcements_connection_id_name_key")),
    )
    op.create_index("ix_announcements_created_at", "announcements", ["created_at"], unique=False)
    with op.batch_alter_table("deliveries") as batch_op:
        batch_op.add_column(sa.Column("announcement_id", _BIG_KEY, nullable=True))
        batch_op.alter_column("call_id", existing_type=sa.String(length=32), nullable=True)
        batch_op.create_foreign_key(
            "fk_deliveries_announcement_id", "announcements", ["announcement_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.create_unique_constraint("uq_deliveries_announcement_id", ["announcement_id"])


def downgrade() -> None:
    op.execute("DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE call_id IS NULL)")
    op.execute("DELETE FROM deliveries WHERE call_id IS NULL")
    with op.batch_alter_table("deliveries") as batch_op:
        batch_op.drop_constraint("uq_deliveries_announcement_id", type_="unique")
        batch_op.drop_constraint("fk_deliveries_announcement_id", type_="foreignkey")
        batch_op.alter_column("call_id", existing_type=sa.String(length=32), nullable=False)
        batch_op.drop_column("announcement_id")
    op.drop_index("ix_announcements_created_at", table_name="announcements")
    op.drop_table("announcements")
