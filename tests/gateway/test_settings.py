from pathlib import Path

import pytest
from dotenv import dotenv_values

from gateway.errors import SettingsError
from gateway.settings import load_settings, variables

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def test_nothing_set_is_enough() -> None:
    settings = load_settings({})
    assert settings.database_url is None
    assert settings.data_dir == Path.cwd() / ".turnmeter"
    assert settings.public_url == "http://localhost:8080"
    assert settings.whatsapp_api_url == "https://graph.facebook.com/v23.0"
    assert settings.burst_quiet_ms == 1_500


def test_variables_are_read_and_tidied() -> None:
    settings = load_settings(
        {
            "TURNMETER_DATABASE_URL": "postgresql://me:pw@db/turnmeter",
            "TURNMETER_PUBLIC_URL": "https://gateway.example.de/",
            "TURNMETER_BURST_QUIET_MS": " 0 ",
            "TURNMETER_DATA_DIR": "~/meter",
            "TURNMETER_CHAT_MODEL": "",
            "HOME": "/nowhere",
        }
    )
    assert settings.database_url == "postgresql://me:pw@db/turnmeter"
    assert settings.public_url == "https://gateway.example.de"
    assert settings.burst_quiet_ms == 0
    assert settings.data_dir == Path("~/meter").expanduser()
    assert settings.chat_model == "gpt-5-mini"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("TURNMETER_BURST_QUIET_MS", "soon", "must be a whole number"),
        ("TURNMETER_BURST_QUIET_MS", "-1", "must be greater than or equal to 0"),
        ("TURNMETER_BURST_QUIET_MS", "8001", "must be less than or equal to 8000"),
        ("TURNMETER_SECRET_KEY", "hunter2", "must have at least 32 characters"),
        ("TURNMETER_PUBLIC_URL", "localhost:8080", "must begin with http:// or https://"),
        ("TURNMETER_PUBLIC_URL", "https://a.example/?x=1", "must be a plain address without user, query or fragment"),
        ("TURNMETER_DATABASE_URL", "mysql://me:hunter2@db/x", "must begin with postgresql:// or postgres://"),
        ("OPENAI_REALTIME_URL", "https://a.example", "must begin with wss:// or ws://"),
        ("SMTP_URL", "mail.example", "must begin with smtp:// or smtps://"),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_wrong_and_never_shown(variable: str, value: str, problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings({variable: value})
    assert str(raised.value) == f"{variable}: {problem}"
    assert raised.value.variable == variable


def test_secrets_do_not_show() -> None:
    secrets = {
        "TURNMETER_SECRET_KEY": "hunter2" * 8,
        "TURNMETER_DATABASE_URL": "postgresql://me:hunter2@db/x",
        "OPENAI_API_KEY": "hunter2",
        "WHATSAPP_APP_SECRET": "hunter2",
        "WHATSAPP_VERIFY_TOKEN": "hunter2",
        "WHATSAPP_ACCESS_TOKEN": "hunter2",
        "TWILIO_AUTH_TOKEN": "hunter2",
        "SMTP_URL": "smtp://me:hunter2@mail",
        "TURNMETER_METRICS_TOKEN": "hunter2",
    }
    assert "hunter2" not in repr(load_settings(secrets))


def test_the_example_lists_every_variable_with_a_value_that_is_accepted() -> None:
    example = {name: value or "" for name, value in dotenv_values(EXAMPLE).items()}
    assert set(example) == set(variables())
    assert load_settings(example) == load_settings({})


def test_a_file_in_the_working_directory_is_read_beneath_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("TURNMETER_CHAT_MODEL=from-file\nTURNMETER_VOICE_MODEL=from-file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TURNMETER_VOICE_MODEL", "from-environment")
    settings = load_settings()
    assert (settings.chat_model, settings.voice_model) == ("from-file", "from-environment")
