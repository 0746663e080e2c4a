"""Who generates: one file per runtime."""
