"""The only reader of the environment: one frozen value that everything else is built from."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from gateway.errors import SettingsError

DOTENV: Final = ".env"
SECRET_KEY_CHARACTERS_MIN: Final = 32


def _address(*schemes: str) -> AfterValidator:
    """Accept an absolute address of one of these schemes, without the slash at its end."""

    def check(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not (parts.hostname or parts.scheme.startswith("postgres")):
            raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return value.rstrip("/")

    return AfterValidator(check)


def _without_query(value: str) -> str:
    parts = urlsplit(value)
    if parts.query or parts.fragment or parts.username:
        raise ValueError("must be a plain address without user, query or fragment")
    return value


HttpAddress = Annotated[str, _address("http", "https")]


class Settings(BaseModel):
    """What the operator decides; secrets do not show in its representation."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore", hide_input_in_errors=True)

    database_url: Annotated[str, _address("postgresql", "postgres")] | None = Field(
        default=None, alias="TURNMETER_DATABASE_URL", repr=False
    )
    database_connections: int | None = Field(default=None, alias="TURNMETER_DATABASE_CONNECTIONS", ge=4, le=1_000)
    data_dir: Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())] = Field(
        default=Path(".turnmeter"), alias="TURNMETER_DATA_DIR", validate_default=True
    )
    public_url: Annotated[HttpAddress, AfterValidator(_without_query)] = Field(
        default="http://localhost:8080", alias="TURNMETER_PUBLIC_URL"
    )
    secret_key: str | None = Field(
        default=None, alias="TURNMETER_SECRET_KEY", min_length=SECRET_KEY_CHARACTERS_MIN, repr=False
    )
    openai_api_key: str | None = Field(default=None, alias="OPENAI_API_KEY", repr=False)
    openai_base_url: HttpAddress = Field(default="https://api.openai.com/v1", alias="OPENAI_BASE_URL")
    openai_realtime_url: Annotated[str, _address("wss", "ws")] = Field(
        default="wss://api.openai.com/v1/realtime", alias="OPENAI_REALTIME_URL"
    )
    chat_model: str = Field(default="gpt-5-mini", alias="TURNMETER_CHAT_MODEL")
    fallback_model: str | None = Field(default=None, alias="TURNMETER_FALLBACK_MODEL")
    voice_model: str = Field(default="gpt-realtime", alias="TURNMETER_VOICE_MODEL")
    whatsapp_app_secret: str | None = Field(default=None, alias="WHATSAPP_APP_SECRET", repr=False)
    whatsapp_verify_token: str | None = Field(default=None, alias="WHATSAPP_VERIFY_TOKEN", repr=False)
    whatsapp_access_token: str | None = Field(default=None, alias="WHATSAPP_ACCESS_TOKEN", repr=False)
    whatsapp_api_url: HttpAddress = Field(default="https://graph.facebook.com/v23.0", alias="WHATSAPP_API_URL")
    twilio_account_sid: str | None = Field(default=None, alias="TWILIO_ACCOUNT_SID")
    twilio_auth_token: str | None = Field(default=None, alias="TWILIO_AUTH_TOKEN", repr=False)
    twilio_api_url: HttpAddress = Field(default="https://api.twilio.com", alias="TWILIO_API_URL")
    twilio_messaging_url: HttpAddress = Field(default="https://messaging.twilio.com", alias="TWILIO_MESSAGING_URL")
    twilio_webhook_keys: Mapping[str, str] = Field(default={}, alias="TWILIO_WEBHOOK_KEYS", repr=False)
    smtp_url: Annotated[str, _address("smtp", "smtps")] | None = Field(default=None, alias="SMTP_URL", repr=False)
    smtp_from: str | None = Field(default=None, alias="SMTP_FROM")
    burst_quiet_ms: int = Field(default=1_500, alias="TURNMETER_BURST_QUIET_MS", ge=0, le=8_000)
    call_drain_s: float = Field(default=600.0, alias="TURNMETER_CALL_DRAIN_S", ge=0, le=7_200)
    plans_file: Path | None = Field(default=None, alias="TURNMETER_PLANS_FILE")
    metrics_token: str | None = Field(default=None, alias="TURNMETER_METRICS_TOKEN", repr=False)

    @field_validator("twilio_webhook_keys", mode="before")
    @classmethod
    def _named_keys(cls, value: object) -> object:
        """Read `name=secret,name=secret`."""
        if not isinstance(value, str):
            return value
        pairs = [pair.strip().partition("=") for pair in value.split(",") if pair.strip()]
        if not all(name and secret for name, _, secret in pairs):
            raise ValueError('must be written as "name=secret", several with commas between them')
        return {name.strip(): secret.strip() for name, _, secret in pairs}


def variables() -> tuple[str, ...]:
    """Name every environment variable that is read."""
    return tuple(str(field.alias) for field in Settings.model_fields.values())


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ`, or from the process's environment over a `.env` file where it runs.

    An empty variable counts as absent. Raises SettingsError naming the first variable that is wrong; never its value.
    """
    if environ is None:
        kept = {name: value for name, value in dotenv_values(DOTENV).items() if value is not None}
        environ = {**kept, **os.environ}
    known = set(variables())
    given = {name: value.strip() for name, value in environ.items() if name in known and value.strip()}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise SettingsError(str(first["loc"][0]), _problem(first["msg"])) from None


def _problem(message: str) -> str:
    """Turn pydantic's words into the rest of a sentence that begins with the variable's name."""
    return (
        message.removeprefix("Value error, ")
        .replace("Input should", "must")
        .replace("String should", "must")
        .replace("valid integer, unable to parse string as an integer", "whole number")
    )
