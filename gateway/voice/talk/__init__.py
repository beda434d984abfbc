"""The parts of a dialogue by audio (pure): whose turn it is, what is said, and what is to be done."""
