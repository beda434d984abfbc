"""A call by audio: two sockets joined, and what is heard and played between them."""
