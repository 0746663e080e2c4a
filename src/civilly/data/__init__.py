"""Read: files of rewrites, pairs and labelled texts; splits, duplicates, leaks."""
