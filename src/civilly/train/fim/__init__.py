"""Trains a model to fill holes in text, on pairs and on civil text."""
