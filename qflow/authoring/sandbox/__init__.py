"""Runs functions of users, or of models, in a process that can do little: see docs/sandbox.md."""
