"""Trains the readers: the detector in context and the judge of rewrites."""
