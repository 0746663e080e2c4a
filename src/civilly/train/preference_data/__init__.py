"""Preference data: better and worse outputs of the same text, from readings, samples, people."""
