import pytest

from agents.errors import ConfigurationError
from gateway.line_file import TenantFile, normalised_number, parse_tenant_file

AGENT = '[[agent]]\nname = "Rezeption"\ninstructions = "Hilf."\n'
ORDER = "order a local number (voice, WhatsApp) or a mobile number (voice, WhatsApp, SMS)"
LINE = """[[line]]
number = "+4915100000001"
kind = "mobile"
agent = "Rezeption"
channels = ["whatsapp"]
whatsapp_provider = "meta"
whatsapp_phone_number_id = "1000001"
"""


def parsed(text: str, *known: str) -> TenantFile:
    return parse_tenant_file(text, known)


def problems_of(text: str, *known: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_tenant_file(text, known)
    return list(caught.value.problems)


def test_a_line_is_read_with_its_number_as_e164_and_its_channels_in_one_order() -> None:
    text = AGENT + LINE.replace("+4915100000001", " 0049 (151) 0000-0001 ").replace(
        '["whatsapp"]', '["voice", "sms", "whatsapp", "sms"]'
    )
    (line,) = parsed(text).lines
    assert line.number == "+4915100000001"
    assert line.channels == ("whatsapp", "sms", "voice")
    assert line.agent == "Rezeption"


@pytest.mark.parametrize("number", ["0151 0000001", "4915100000001", "Rezeption", "+", "+43 1", "", "+999123456789"])
def test_a_number_without_a_country_or_of_impossible_length_is_refused_without_repeating_it(number: str) -> None:
    with pytest.raises(ValueError, match="number") as caught:
        normalised_number(number)
    assert not number.strip("+") or number not in str(caught.value)


def test_every_problem_of_every_table_is_named_with_its_place() -> None:
    text = (
        'lines = 1\n[[agent]]\nname = "A"\n\n'
        + LINE.replace('"mobile"', '"cell"').replace('number = "+4915100000001"', 'number = "0151"')
        + LINE.replace("channels =", "chanels =").replace("1000001", "+49 151")
    )
    found = problems_of(text)
    assert found == [
        '"lines" is not known here; write [[agent]] and [[line]] tables',
        'agent "A": instructions: is missing',
        'line 1 (row 5 of the file): number: must be a number with its country code, like "+49 151 23456789"',
        f'line 1 (row 5 of the file): kind: "cell" is not a kind of number there is here: {ORDER}',
        "line 2 (row 12 of the file): channels: is missing",
        "line 2 (row 12 of the file): whatsapp_phone_number_id: must be the id that Meta shows, only digits",
        'line 2 (row 12 of the file): chanels: is not a known setting; did you mean "channels"?',
    ]


@pytest.mark.parametrize("kind", ["toll_free", "landline", "national", "short code", "Mobile", ""])
def test_any_other_kind_of_number_is_told_what_to_order(kind: str) -> None:
    (problem,) = problems_of(AGENT + LINE.replace('"mobile"', f'"{kind}"'))
    assert problem == f'line 1 (row 4 of the file): kind: "{kind}" is not a kind of number there is here: {ORDER}'


@pytest.mark.parametrize("kind", ["7", '["mobile"]', f'"{"x" * 60}"'])
def test_a_kind_that_is_no_word_is_not_repeated(kind: str) -> None:
    (problem,) = problems_of(AGENT + LINE.replace('"mobile"', kind))
    assert problem == f'line 1 (row 4 of the file): kind: must be "local" or "mobile": {ORDER}'


@pytest.mark.parametrize("number", ["+498001234567", "+18005551234", "+491801234567"])
@pytest.mark.parametrize("kind", ["local", "mobile"])
def test_a_toll_free_number_is_none_of_the_two_whatever_it_is_called(number: str, kind: str) -> None:
    (problem,) = problems_of(AGENT + LINE.replace("+4915100000001", number).replace('"mobile"', f'"{kind}"'))
    assert problem.endswith(f"number: is a toll-free or special-rate number; {ORDER}")
    assert number not in problem


def test_a_local_number_has_no_sms() -> None:
    text = AGENT + LINE.replace('"mobile"', '"local"').replace('["whatsapp"]', '["whatsapp", "sms"]')
    assert problems_of(text) == [
        (
            "line 1 (row 4 of the file): channels: a local number has no sms; "
            "order a mobile number (voice, WhatsApp, SMS), or take sms out"
        )
    ]
    assert parsed(text.replace(', "sms"', ', "voice"')).lines[0].kind == "local"


@pytest.mark.parametrize(
    ("taken_out", "complaint"),
    [
        ('whatsapp_provider = "meta"\n', 'whatsapp_provider: is missing; write "meta" or "twilio"'),
        ('whatsapp_phone_number_id = "1000001"\n', "whatsapp_phone_number_id: is missing"),
    ],
)
def test_whatsapp_needs_a_provider_and_metas_id(taken_out: str, complaint: str) -> None:
    (problem,) = problems_of(AGENT + LINE.replace(taken_out, ""))
    assert complaint in problem


def test_at_twilio_whatsapp_needs_no_id() -> None:
    text = AGENT + LINE.replace('"meta"', '"twilio"').replace('whatsapp_phone_number_id = "1000001"\n', "")
    assert parsed(text).lines[0].whatsapp_provider == "twilio"


def test_whatsapp_settings_without_the_channel_are_found_out() -> None:
    found = problems_of(AGENT + LINE.replace('["whatsapp"]', '["sms"]'))
    assert len(found) == 2
    assert all('"whatsapp" is not among the channels' in problem for problem in found)


def test_a_line_without_a_channel_is_refused() -> None:
    (problem,) = problems_of(AGENT + LINE.replace('["whatsapp"]', "[]"))
    assert "must name at least one of whatsapp, sms, voice" in problem


def test_a_line_may_name_an_agent_of_the_file_or_one_already_published() -> None:
    assert parsed(LINE, "Rezeption").agents == ()
    assert problems_of(LINE, "Werkstatt", "Büro") == [
        'line 1 (row 1 of the file): agent: there is no published agent "Rezeption"; there are: "Büro", "Werkstatt"'
    ]


def test_a_number_and_an_id_stand_in_one_line_only() -> None:
    assert problems_of(AGENT + LINE + LINE) == [
        "line 2 (row 11 of the file): number: is the same as that of line 1 (row 4 of the file)",
        "line 2 (row 11 of the file): whatsapp_phone_number_id: is the same as that of line 1 (row 4 of the file)",
    ]


def test_rows_are_left_out_where_they_cannot_be_told_for_sure() -> None:
    text = AGENT.replace('"Hilf."', '"""\n[[line]]\n"""') + LINE.replace("mobile", "cell")
    (problem,) = problems_of(text)
    assert problem.startswith("line 1: kind")


def test_what_is_no_toml_is_told_with_the_parsers_place() -> None:
    (problem,) = problems_of('[[line]]\nnumber = "+49\n')
    assert problem.startswith("not readable as TOML")
    assert "line 2" in problem
    assert "[[line]] tables" in problems_of("line = 1")[0]
    assert "[[agent]] tables" in problems_of("agent = 1")[0]


def test_a_token_shows_in_no_problem_and_no_representation() -> None:
    line = LINE + 'whatsapp_access_token = "EAAG-secret"\n'
    assert "EAAG" not in repr(parsed(AGENT + line))
    assert "EAAG" not in "".join(problems_of(AGENT + line.replace("mobile", "cell")))


def test_a_file_saved_with_a_byte_order_mark_is_read() -> None:
    assert parsed("\ufeff" + AGENT).agents[0].name == "Rezeption"


def test_an_agent_cannot_put_callers_through_to_a_line_that_an_agent_answers() -> None:
    line = LINE.replace('["whatsapp"]', '["whatsapp", "voice"]')
    circle = AGENT + '[agent.voice]\ntransfer_to = "0049 151 00000001"\n' + line
    assert problems_of(circle) == [
        'agent "Rezeption": voice, transfer_to: is one of the lines here, which an agent answers; write a person\'s'
    ]
    assert parsed(circle.replace(" 00000001", " 00000009")).agents[0].voice.transfer_to == "+4915100000009"
