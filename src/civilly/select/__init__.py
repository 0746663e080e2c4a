"""Choose: among candidates, or keep the text."""
