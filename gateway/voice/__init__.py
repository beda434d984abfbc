"""Phone calls: Twilio Media Streams on one side, an engine that listens and speaks on the other."""
