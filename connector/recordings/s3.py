"""S3-compatible storage by boto3: https://docs.aws.amazon.com/AmazonS3/latest/API/. Credentials, region and endpoint
come from where boto3 looks for them (AWS_ACCESS_KEY_ID and the like), unless RECORDINGS_URL names them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from connector.recordings.stores import ROOM, StoreAway, Stored

CONNECTIONS = 64
"""As many as a web process has threads."""
_NOT_THERE = frozenset({"NoSuchKey", "404", "NotFound"})


class S3:
    """A bucket, or what begins with `prefix` in it."""

    def __init__(self, *, bucket: str, prefix: str, endpoint: str | None, region: str | None, incoming: Path) -> None:
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self.title = f"s3://{bucket}/{self._prefix}{ROOM}"
        self.incoming = incoming
        self._endpoint, self._region = endpoint, region
        self._client: Any = None
        self._making = threading.Lock()

    def keep(self, key: str, made: Path, content_type: str) -> None:
        with _worded(), made.open("rb") as body:
            self._s3.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=body, ContentType=content_type)
        made.unlink()

    def open(self, key: str, begin: int = 0, end: int | None = None) -> BinaryIO:
        wanted = f"bytes={begin}-{'' if end is None else end - 1}"
        with _worded():
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + key, Range=wanted)
        return cast(BinaryIO, _Body(answer["Body"]))

    def delete(self, key: str) -> None:
        with _worded():
            self._s3.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def stored(self, under: str = ROOM) -> Iterator[Stored]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}{under}/"
        )
        with _worded():
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Stored(key=item["Key"].removeprefix(self._prefix), at=item["LastModified"])

    def check(self) -> None:
        with _worded():
            self._s3.head_bucket(Bucket=self._bucket)

    @property
    def _s3(self) -> Any:
        """The client: safe in threads once it is made, and made after a fork."""
        with self._making:
            if self._client is None:
                with _worded():
                    self._client = _client(self._endpoint, self._region)
            return self._client


class _Body:
    """A streamed answer whose troubles are OSErrors."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        with _worded():
            return cast(bytes, self._body.read(None if size < 0 else size))

    def close(self) -> None:
        self._body.close()

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _client(endpoint: str | None, region: str | None) -> Any:
    session = boto3.Session(region_name=region)
    config = Config(
        connect_timeout=3,
        read_timeout=8,  # a player waits, and so does its thread
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=CONNECTIONS,
        # Other makers' servers know neither Amazon's newer checksums nor names of buckets in the host.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    return session.client("s3", endpoint_url=endpoint, config=config, region_name=session.region_name or "us-east-1")


@contextmanager
def _worded() -> Iterator[None]:
    """boto3's errors as OSErrors. Their texts name bucket and key, never a credential."""
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NOT_THERE:
            raise FileNotFoundError(str(error)) from None
        raise StoreAway(f"the storage refused: {error}") from error
    except (BotoCoreError, HTTPClientError, OSError) as error:
        raise StoreAway(f"the storage does not answer: {error}") from error
