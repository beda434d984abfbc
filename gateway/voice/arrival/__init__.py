"""A call rings: whose it is, who answers, and what Twilio is told to do."""
