"""`make demo`: creates, updates, rolls back and deletes the stack on this machine, with the real `sam deploy`."""
