"""Carries decisions out: one short branch and one script per outcome. No loops of its own."""
