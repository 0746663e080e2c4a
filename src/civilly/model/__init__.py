"""The embedded model: from the packaged GGUF to a trimmed model in the user cache."""
