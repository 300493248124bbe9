"""From what a user asked for to a plan: checked data, resolved methods, tasks."""
