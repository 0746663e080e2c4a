"""Judge: one file per metric."""

DEFAULT = "reading"
"""The suite that everything uses where none is named."""
