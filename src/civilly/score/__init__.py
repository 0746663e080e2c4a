"""Judge: one file per metric."""
