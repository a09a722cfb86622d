"""Workflows from words: specification, planner, code, checks, sandbox. The runtime never imports it."""
