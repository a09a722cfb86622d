"""One module a page: each function answers one request, from what `qflow.read` gives."""
