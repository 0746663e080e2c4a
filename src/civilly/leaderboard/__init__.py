"""Compare: from runs to tables, intervals, significance and a page."""
