"""Networks of the supervised detectors. Import these inside fit and predict alone: they load torch."""
