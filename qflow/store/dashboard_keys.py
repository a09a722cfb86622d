"""Keys of what the dashboard keeps: apart from keys.py, which is about runs."""

from __future__ import annotations

from functools import cached_property


class DashboardKeys:
    """Keys of webhooks."""

    ns: str

    @cached_property
    def webhooks(self) -> str:
        """Hash. Webhook id → its configuration (JSON), which names its secret's environment variable.
        Written by whoever configures it; permanent."""
        return f"{self.ns}:webhooks"

    @cached_property
    def webhook_counts(self) -> str:
        """Hash. `<webhook>|taken` and `<webhook>|refused` → how many deliveries were. Permanent, gone
        with the webhook."""
        return f"{self.ns}:webhooks:counts"

    def deliveries(self, webhook: str) -> str:
        """Stream. The newest 200 deliveries of a webhook: status, event, id, why. Expires 30 days after
        the last, deleted with the webhook."""
        return f"{self.ns}:webhooks:deliveries:{webhook}"
