"""What it costs: credits, rates, tokens, wallets, receipts. No conversations, no channels."""
