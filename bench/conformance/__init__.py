"""Suites that check an adapter against the interface, on small data that they make themselves."""
