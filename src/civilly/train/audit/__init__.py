"""The audit: a training's reward beside referees that it never saw, checkpoint by checkpoint."""
