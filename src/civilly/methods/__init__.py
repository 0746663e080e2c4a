"""Write: one file per rewriting method."""
