"""Incidents: who looks for them, and who tells of them."""
