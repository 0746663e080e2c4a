"""find: language, toxicity, spans."""
