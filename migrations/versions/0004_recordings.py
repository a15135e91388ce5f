"""What is known of a recording's sound, its MP3 for those who ask for one, and who listened to it.

Old code still runs while this applies: only add, with defaults; remove what nothing uses any more a release later.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ADDED: tuple[tuple[str, Any], ...] = (
    ("source_type", sa.String(length=100)),
    ("milliseconds", sa.Integer()),
    ("waveform", sa.LargeBinary()),
    ("mp3_path", sa.Text()),
    ("mp3_size", sa.Integer()),
    ("mp3_due_at", sa.DateTime(timezone=True)),
    ("mp3_error", sa.Text()),
)


def upgrade() -> None:
    for name, kind in _ADDED:
        op.add_column("recordings", sa.Column(name, kind, nullable=True))
    op.add_column("recordings", sa.Column("as_mp3", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("ix_recordings_mp3_due_at", "recordings", ["mp3_due_at"], unique=False)
    op.create_table(
        "recording_plays",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("listener", sa.String(length=200), nullable=False),
        sa.Column("way", sa.String(length=10), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_recording_plays_call_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_plays")),
    )
    op.create_index("ix_recording_plays_call_id", "recording_plays", ["call_id", "at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_recording_plays_call_id", table_name="recording_plays")
    op.drop_table("recording_plays")
    op.drop_index("ix_recordings_mp3_due_at", table_name="recordings")
    op.drop_column("recordings", "as_mp3")
    for name, _ in reversed(_ADDED):
        op.drop_column("recordings", name)
