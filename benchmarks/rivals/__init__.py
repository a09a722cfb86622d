"""No-op tasks of other libraries, run by their own workers in their own environment."""
