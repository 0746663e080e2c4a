"""Find: language, toxicity, spans."""

DEFAULT = "context"
"""The detector that everything uses where none is named."""
THREAT, SELF_HARM = "threat", "self-harm"
"""Flags of a detection."""
