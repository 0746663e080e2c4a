"""choose: among candidates, or keep the text."""
