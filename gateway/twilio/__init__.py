"""What every use of Twilio shares: who signed a request, and how a request of ours is made."""
