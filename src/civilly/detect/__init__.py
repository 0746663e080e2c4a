"""Find: language, toxicity, spans."""
