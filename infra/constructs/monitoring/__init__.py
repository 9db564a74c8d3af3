"""Alarms, the topic that they notify, the budget, the dashboard, and log groups."""
