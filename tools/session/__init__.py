"""Plays a person's session of deploy, status, update and delete in a pseudo-terminal, and documents it."""
