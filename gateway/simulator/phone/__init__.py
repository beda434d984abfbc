"""The customer's phone and, beside it, what the owner sees of the meter: one page, served on its own port."""
