"""Find: language, toxicity, spans."""

DEFAULT = "toxicity"
"""The detector that everything uses where none is named."""
THREAT, SELF_HARM = "threat", "self-harm"
"""Flags of a detection."""
