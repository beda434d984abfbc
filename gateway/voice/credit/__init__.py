"""What a call costs: its meter, what is held and charged for each minute, and its end in the books."""
