"""write: one file per rewriting method."""
