"""Side room: trains adapters and detectors; hands over files."""
