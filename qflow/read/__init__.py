"""Read-only views for command line, metrics, dashboard and tests; the runtime never imports it."""
