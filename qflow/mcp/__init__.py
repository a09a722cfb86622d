"""Functions, runs and drafts for coding agents, over the Model Context Protocol."""
