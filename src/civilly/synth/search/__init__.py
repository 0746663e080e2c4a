"""Finds data sets like ours: candidates are read, compared with a reference set, and ranked."""
