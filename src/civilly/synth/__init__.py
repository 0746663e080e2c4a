"""Synthetic data: a model rewrites real texts, filters decide what of it may be trained on."""
