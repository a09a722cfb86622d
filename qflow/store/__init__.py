"""All that knows Redis: connections, keys, scripts and the shapes of what is stored."""
