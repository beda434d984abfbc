"""`pytest tests/properties --hypothesis-profile thorough` looks for longer than a run of all tests may."""

from hypothesis import settings

settings.register_profile("thorough", max_examples=1_000, stateful_step_count=60)
