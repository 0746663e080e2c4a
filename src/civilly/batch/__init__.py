"""Batch: files and folders of files, row by row, on this machine or on a Ray cluster."""
