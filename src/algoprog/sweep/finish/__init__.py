"""What follows when a sweep's runs are done: gains, report, tracking."""
