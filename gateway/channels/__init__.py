"""Message channels; a channel is a folder."""
