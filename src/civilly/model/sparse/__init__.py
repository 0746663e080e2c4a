"""Sparse autoencoders of a residual stream: how they run, their files, and where they are."""
