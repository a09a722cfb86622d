"""`qflow dev`: an embedded Redis, every service in one place, reload on change."""
