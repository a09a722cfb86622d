"""Objects in S3, or in what speaks as it does (S3_ENDPOINT_URL)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from botocore.exceptions import ClientError

from qflow import NonRetriableError

from .settings import optional, required


def put_json(key: str, value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write a value as JSON; writing it again changes nothing."""
    body = json.dumps(value, default=str).encode()
    try:
        s3().put_object(Bucket=bucket(), Key=key, Body=body, ContentType="application/json")
    except ClientError as error:
        raise sorted_out(error) from error


def read_json(folder: str, after: str) -> tuple[list[dict[str, Any]], str]:
    """Return the records of the object after the key `after`, and its key: "" after the last."""
    try:
        found = s3().list_objects_v2(
            Bucket=bucket(), Prefix=f"{folder}/", StartAfter=after, MaxKeys=1
        )
        if not found.get("Contents"):
            return [], ""
        key = found["Contents"][0]["Key"]
        value = json.loads(s3().get_object(Bucket=bucket(), Key=key)["Body"].read())
    except ClientError as error:
        raise sorted_out(error) from error
    return value if isinstance(value, list) else [value], key


def bucket() -> str:
    """Return the bucket's name."""
    return required("S3_BUCKET", "the name of the bucket")


def s3() -> Any:
    """Return a client; AWS_ACCESS_KEY_ID and its kin say who we are."""
    return boto3.client("s3", endpoint_url=optional("S3_ENDPOINT_URL") or None)


def sorted_out(error: ClientError) -> Exception:
    """Return what a refusal means: another attempt, or none."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    final = 400 <= status < 500 and status not in (408, 429)
    return NonRetriableError(f"S3 refused: {error}") if final else error
