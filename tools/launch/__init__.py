"""The launch page, and the click on it from end to end."""
