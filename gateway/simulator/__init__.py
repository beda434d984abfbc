"""Simulated vendors: separate servers that speak the real wire formats and can be told to fail."""
