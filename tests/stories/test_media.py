"""Voice notes are heard, pictures are seen, and what cannot be had is told to the agent."""

import struct

from gateway.simulator.openai_chat import Request, Said
from tests.stories.world import World


def opus(seconds: float) -> bytes:
    def page(granule: int, body: bytes) -> bytes:
        table = bytes([*[255] * (len(body) // 255), len(body) % 255])
        return struct.pack("<4sBBqIIIB", b"OggS", 0, 0, granule, 7, 0, 0, len(table)) + table + body

    head = b"OpusHead" + bytes([1, 1]) + struct.pack("<HIhB", 312, 16_000, 0, 0)
    return page(0, head) + page(0, b"OpusTags") + page(int(seconds * 48_000) + 312, b"x" * 600)


def asked(request: Request) -> object:
    return request["messages"][-1]["content"]  # type: ignore[index]


async def test_a_voice_note_is_answered_by_its_transcript_and_counted_as_text(world: World) -> None:
    world.model.ear = lambda _content: "Was kostet ein Haarschnitt?"
    anna = world.customer()
    await anna.send_voice_note(opus(4))
    assert "42 Euro" in await anna.next_text()
    await world.quiet()
    assert asked(world.model.requests[0]) == "Was kostet ein Haarschnitt?"
    (receipt,) = await world.receipts()
    prompt = [message["content"] for message in world.model.requests[0]["messages"]]  # type: ignore[attr-defined]
    assert receipt.lines[0].quantity == sum(world.services.count_tokens(part) for part in prompt)
    await anna.write("Und ein Bart?")
    await anna.next_text()
    history = [message["content"] for message in world.model.requests[-1]["messages"]]  # type: ignore[attr-defined]
    assert "Was kostet ein Haarschnitt?" in history
    assert world.model.transcribed == 1


async def test_a_voice_note_of_six_minutes_is_not_transcribed(world: World) -> None:
    anna = world.customer()
    await anna.send_voice_note(opus(360))
    await anna.next_text()
    assert world.model.transcribed == 0
    assert asked(world.model.requests[0]) == "[Sprachnachricht, zu lang: höchstens 5 Minuten]"


async def test_a_picture_is_shown_to_the_model_and_is_free(world: World) -> None:
    anna = world.customer()
    await anna.send_image(b"\xff\xd8\xff\xe0 a picture", caption="Geht so ein Schnitt?")
    await anna.next_text()
    await world.quiet()
    content = asked(world.model.requests[0])
    assert isinstance(content, list)
    assert [part["type"] for part in content] == ["text", "image_url"]
    assert content[0]["text"].endswith("Geht so ein Schnitt?")
    (receipt,) = await world.receipts()
    texts = [message["content"] for message in world.model.requests[0]["messages"][:-1]]  # type: ignore[index]
    tokens = sum(world.services.count_tokens(text) for text in [*texts, content[0]["text"]])
    assert receipt.lines[0].quantity == tokens


async def test_a_picture_that_cannot_be_had_is_told_to_the_agent(world: World) -> None:
    world.meta.faults.media_missing = True
    world.model.brain = lambda _request: Said(text="Leider kann ich das Bild nicht sehen.")
    anna = world.customer()
    await anna.send_image(b"\xff\xd8\xff\xe0 a picture")
    assert "nicht sehen" in await anna.next_text()
    assert "[Bild, konnte nicht geladen werden]" in str(asked(world.model.requests[0]))
