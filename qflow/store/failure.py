"""Why a job failed, in the form in which RQ keeps it."""

from __future__ import annotations

from base64 import b64encode
from zlib import compress


def packed(traceback: str) -> str:
    """Return a traceback as RQ keeps it in a job's results; "" stays "".

    What cannot be encoded (half a surrogate pair) is escaped: an error must always find its way out.
    """
    if not traceback:
        return ""
    return b64encode(compress(traceback.encode("utf-8", "backslashreplace"))).decode()
