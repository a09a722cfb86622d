"""Keys of what the dashboard keeps: apart from keys.py, which is about runs."""

from __future__ import annotations

from functools import cached_property


class DashboardKeys:
    """Keys of webhooks and of actions on many runs."""

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

    def bulk(self, bulk: str) -> str:
        """Hash. An action on many runs: id, kind, what, who, rate, total, done, skipped, failed, state,
        created, ended; holder, until (ms) and token of who works on it. Expires after a week."""
        return f"{self.ns}:bulk:{bulk}"

    def bulk_left(self, bulk: str) -> str:
        """List. Runs that an action has still to come to. Expires with it."""
        return f"{self.ns}:bulk:{bulk}:left"

    def bulk_faults(self, bulk: str) -> str:
        """List. The last 100 runs with which an action failed, each with why. Expires with it."""
        return f"{self.ns}:bulk:{bulk}:faults"

    @cached_property
    def bulks(self) -> str:
        """Sorted set. The newest 100 actions on many runs, by their beginning (ms). Trimmed."""
        return f"{self.ns}:bulks"

    @cached_property
    def bulks_open(self) -> str:
        """Set. Actions that are not over. Deleted by Redis when empty."""
        return f"{self.ns}:bulks:open"
