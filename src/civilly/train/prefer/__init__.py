"""Learning from preferences: which of two rewrites people like better, or whether one is good."""
