"""Helpers for tests that need a real, private Redis."""
