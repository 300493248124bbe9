"""Training that can be killed: equal seeds give equal weights, and a fit goes on from its last checkpoint."""
