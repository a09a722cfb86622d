"""Fixtures of the services' tests."""

from __future__ import annotations

from cases.conftest import pytest_configure, world  # noqa: F401
