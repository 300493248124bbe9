"""The results of runs as reports and users read them."""
