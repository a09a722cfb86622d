"""Long-lived processes: router, scheduler, worker, rescuer, pruner and their supervisor."""
