"""The offline planner: words become a spec by rules, the same every time, without a model.

Each module reads its part of the words and marks it as read; what nobody read is said. The order
matters: limits and failures before events, events before waits, waits before what is done.
"""

from qflow.authoring.planner.changes import change
from qflow.authoring.planner.plan import plan

__all__ = ["change", "plan"]
