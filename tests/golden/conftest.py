"""Fixtures of the golden histories."""

from __future__ import annotations

from cases.conftest import pytest_configure, world  # noqa: F401
