"""A call that is put through to a person: dialled, watched minute by minute, taken over by another process."""
