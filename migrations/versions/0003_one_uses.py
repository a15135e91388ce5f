"""States and tokens that are good for one use, installations that nobody has claimed yet.

Old code still runs while this applies: only add, with defaults; remove what nothing uses any more a release later.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "one_uses",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_one_uses_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_one_uses")),
    )
    op.create_index("ix_one_uses_expires_at", "one_uses", ["expires_at"], unique=False)
    op.create_table(
        "install_offers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("account_key", sa.String(length=200), nullable=True),
        sa.Column("account_name", sa.String(length=200), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_install_offers_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_install_offers")),
    )
    op.create_index("ix_install_offers_connection_id", "install_offers", ["connection_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_install_offers_connection_id", table_name="install_offers")
    op.drop_table("install_offers")
    op.drop_index("ix_one_uses_expires_at", table_name="one_uses")
    op.drop_table("one_uses")
