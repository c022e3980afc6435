"""`make demo`: the whole life of a stack on this machine, with the real `sam deploy` and the shipped template."""
