"""Who asked for a call and how it is to be routed; names of API keys; who calls from a link without being asked.

Old code still runs while this applies: only add, with defaults; remove what nothing uses any more a release later.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("name", sa.String(length=80), server_default="", nullable=False))
    op.add_column("api_keys", sa.Column("hint", sa.String(length=12), server_default="", nullable=False))
    op.add_column("dials", sa.Column("routing", sa.String(length=10), nullable=True))
    op.add_column("dials", sa.Column("asked_by", sa.String(length=200), nullable=True))
    op.add_column(
        "dials", sa.Column("campaign_number_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )
    op.create_index(op.f("ix_dials_campaign_number_id"), "dials", ["campaign_number_id"], unique=False)
    op.add_column("users", sa.Column("dials_at_once", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("users", "dials_at_once")
    op.drop_index(op.f("ix_dials_campaign_number_id"), table_name="dials")
    op.drop_column("dials", "campaign_number_id")
    op.drop_column("dials", "asked_by")
    op.drop_column("dials", "routing")
    op.drop_column("api_keys", "hint")
    op.drop_column("api_keys", "name")
