"""Service levels: error budgets, and what a Prometheus server measured."""
