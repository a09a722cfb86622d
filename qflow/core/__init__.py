"""The pure core: values and decisions. No Redis, clock, randomness, files or logging."""
