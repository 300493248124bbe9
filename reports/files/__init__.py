"""Leaderboards and records as files and as text in a terminal."""
