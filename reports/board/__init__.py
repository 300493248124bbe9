"""The mathematics of a leaderboard: columns, cells, ranks, gains."""
