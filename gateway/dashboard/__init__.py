"""Pages for people, rendered here: the public prices."""
