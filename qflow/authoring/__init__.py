"""Words to workflow: words become a `WorkflowSpec`, a spec becomes Python, and people decide."""
