"""One adapter for each language, from one recipe."""
