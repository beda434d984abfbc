"""The `turnmeter` command."""
