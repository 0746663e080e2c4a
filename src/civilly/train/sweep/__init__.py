"""Searches over models and settings of a fine-tuning, and reports what mattered."""
