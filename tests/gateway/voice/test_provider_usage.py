from gateway.voice.media.provider_usage import ProviderUsage


def test_numbers_are_summed_wherever_they_stand_and_nothing_else_is_kept() -> None:
    usage = ProviderUsage()
    usage.add("responses", {"total_tokens": 7, "input_token_details": {"audio": 3, "cached": True}, "model": "x"})
    usage.add("responses", {"total_tokens": 5, "input_token_details": {"audio": 2}})
    usage.add("sessions", {"seconds": 1.5})
    assert usage.total == {
        "responses": {"count": 2, "total_tokens": 12, "input_token_details": {"audio": 5}},
        "sessions": {"count": 1, "seconds": 1.5},
    }


def test_each_count_is_taken_once() -> None:
    usage = ProviderUsage()
    usage.add("responses", {"total_tokens": 7})
    assert usage.take() == {"responses": {"count": 1, "total_tokens": 7}}
    assert usage.take() == {}
    assert usage.total == {"responses": {"count": 1, "total_tokens": 7}}
