"""What to say: versions, prompts, models, tools. No HTTP server, no money."""
