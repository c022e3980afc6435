"""`make acceptance`: tries the stack on a real AWS account and a real Coiled workspace, and writes a report."""
