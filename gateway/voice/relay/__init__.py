"""A call by text: Twilio's own speech, and the agent that answers in writing."""
