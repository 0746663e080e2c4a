"""judge: one file per metric."""
