"""Work on whole stores: what may be forgotten, what another store adds, what a run will cost."""
