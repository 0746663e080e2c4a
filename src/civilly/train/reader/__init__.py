"""Trains the readers: the detector in context and the judge of rewrites.

`run` is the way through; `recipe` says what may be set, `sentences` and `rewrites` what the two
learn from, `detector` and `judge` how they see it and what their losses are.
"""
