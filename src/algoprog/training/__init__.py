"""Training one model: optimizer, schedule, budget, evaluation."""
