"""The JSON API of a tenant."""
