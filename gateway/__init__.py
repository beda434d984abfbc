"""The edge and the conductor: channels in, turns through, replies out."""
