"""The settings, read once. No other module reads the environment."""

import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

MOST_A_MINUTE = 1_000_000
"""Beyond which counting costs more than answering."""
MIN_SECRET = 32
"""Characters of a secret, below which it could be guessed."""


class Settings(BaseSettings):
    """Every setting is an environment variable with the prefix `RECORD_`, or is in a file whose path is in
    that variable with `_FILE` at its end.
    """

    model_config = SettingsConfigDict(env_prefix="RECORD_", frozen=True, extra="ignore")

    database_password: Annotated[
        str | None,
        Field(
            description="The password of the user in `RECORD_DATABASE_URL` and `RECORD_REPLICA_URLS`, where "
            "they have none. Any character may be in it.",
            repr=False,
        ),
    ] = None
    database_url: Annotated[
        str,
        Field(
            description="Where the base is: `sqlite:///file` or `postgresql://user:password@host/name`.",
            repr=False,
        ),
    ] = "sqlite:///record.db"
    secret: Annotated[
        str | None,
        Field(
            description="Signs page cursors and keys the hashes of API keys; at least 32 characters. "
            "Required with PostgreSQL; with SQLite it is made once and kept beside the file.",
            min_length=MIN_SECRET,
            repr=False,
        ),
    ] = None
    log_key: Annotated[
        str | None,
        Field(
            description="Signs checkpoints of the ledger and bundles: an Ed25519 key as in signed notes, "
            "`PRIVATE+KEY+name+hash+base64`. By default it is made of the secret.",
            repr=False,
        ),
    ] = None
    log_origin: Annotated[
        str | None,
        Field(
            description="What the ledger is called in its checkpoints, such as `example.org/on-the-record`; "
            "no spaces. By default `on-the-record/` and the beginning of the public key's hash.",
            pattern=r"^[^\s+]+$",
            max_length=200,
        ),
    ] = None
    public_reading: Annotated[
        bool, Field(description="Whether reading needs no key. If off, every read needs one.")
    ] = True
    public_metrics: Annotated[
        bool, Field(description="Whether `/metrics` needs no key. If off, it takes one of any role.")
    ] = False
    default_visibility: Annotated[
        Literal["public", "internal"],
        Field(
            description="Who sees new claims and sources of which nothing is said: everyone, or those with a "
            "key alone."
        ),
    ] = "public"
    four_eyes: Annotated[
        bool,
        Field(description="Whether a verdict waits for an editor other than the one who proposed it."),
    ] = False
    lease_minutes: Annotated[
        int, Field(description="How long a claim stays with the checker who took it.", ge=1, le=43200)
    ] = 240
    max_body_bytes: Annotated[int, Field(description="The largest request body that is read.", ge=1024)] = (
        8 * 1024 * 1024
    )
    max_import_bytes: Annotated[
        int, Field(description="The largest file that `POST /v1/import` reads.", ge=1024)
    ] = 16 * 1024 * 1024
    cache_bytes: Annotated[
        int,
        Field(
            description="How many bytes of memory the caches of one process may take together: names, words, "
            "statements, queries that were read.",
            ge=1024**2,
        ),
    ] = 32 * 1024**2
    feed_bytes: Annotated[
        int,
        Field(description="How much disk feeds may take, in the directory for temporary files.", ge=0),
    ] = 1024**3
    past_bytes: Annotated[
        int,
        Field(
            description="How much disk moments of the past (`as_of`) may take, in the directory for "
            "temporary files; the one that is asked is kept in any case.",
            ge=0,
        ),
    ] = 1024**3
    requests_per_address: Annotated[
        int,
        Field(
            description="Requests a minute from one address (of IPv6: one /64) without a key; 0 is no limit. "
            "No limit on clients holds for this machine itself (loopback).",
            ge=0,
            le=MOST_A_MINUTE,
        ),
    ] = 1200
    requests_per_key: Annotated[
        int,
        Field(description="Requests a minute with one key; 0 is no limit.", ge=0, le=MOST_A_MINUTE),
    ] = 6000
    wrong_keys: Annotated[
        int,
        Field(
            description="Wrong keys a minute from one address, before it may only use keys that are known "
            "to be good; 0 is no limit.",
            ge=0,
            le=MOST_A_MINUTE,
        ),
    ] = 20
    requests_at_once: Annotated[
        int,
        Field(description="Requests of one client that are worked on at once; others of it wait.", ge=1),
    ] = 4
    client_seconds: Annotated[
        int,
        Field(
            description="How long a client may send nothing of its request, or take nothing of its answer, "
            "before the connection is closed.",
            ge=1,
            le=600,
        ),
    ] = 8
    streams: Annotated[
        int, Field(description="How many streams of changes one process keeps open; beyond it 503.", ge=0)
    ] = 200
    streams_per_client: Annotated[
        int,
        Field(description="How many of them one client may have open; beyond it 429.", ge=1),
    ] = 4
    webhooks: Annotated[
        bool,
        Field(description="Whether this process delivers to webhooks. Off for a copy of a base, say."),
    ] = True
    webhook_networks: Annotated[
        list[IPv4Network | IPv6Network],
        Field(
            description="Networks that webhooks may lead to besides public addresses, over http too, such as "
            '`["10.1.0.0/16"]` (a JSON list).'
        ),
    ] = []
    read_seconds: Annotated[
        int,
        Field(
            description="How long one question may keep the database busy: processor time on SQLite, the "
            "clock on PostgreSQL.",
            ge=1,
            le=3600,
        ),
    ] = 15
    trusted_proxies: Annotated[
        list[str],
        Field(
            description="Addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` "
            "are believed (a JSON list)."
        ),
    ] = ["127.0.0.1", "::1"]
    hsts_seconds: Annotated[
        int,
        Field(
            description="For how long browsers shall use TLS only, told to those that came by it; 0 is not.",
            ge=0,
        ),
    ] = 0
    cors_origins: Annotated[list[str], Field(description="Origins whose pages may read (a JSON list).")] = [
        "*"
    ]
    pool_size: Annotated[
        int, Field(description="How many database connections one process keeps to a server.", ge=1, le=500)
    ] = 20
    replica_urls: Annotated[
        list[str],
        Field(description="Standbys of the PostgreSQL server, which take reads (a JSON list).", repr=False),
    ] = []
    replica_lag_seconds: Annotated[
        float, Field(description="How far behind a standby may be and still be read from.", gt=0, le=3600)
    ] = 10
    log_level: Annotated[
        str, Field(description="The server's log level.", pattern="^(debug|info|warning|error)$")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Field(description="`text`, or a JSON object a line (`json`).")
    ] = "text"
    log_addresses: Annotated[
        bool, Field(description="Whether the log has the addresses of clients, which are personal data.")
    ] = False

    @field_validator("database_url")
    @classmethod
    def _complete(cls, url: str, info: ValidationInfo) -> str:
        password = info.data.get("database_password")
        if password and not _WITHOUT_PASSWORD.match(url):
            raise ValueError(
                "with RECORD_DATABASE_PASSWORD it is postgresql://user@host/name, with no password of its own"
            )
        return _with_password(url, password)

    @field_validator("replica_urls")
    @classmethod
    def _complete_each(cls, urls: list[str], info: ValidationInfo) -> list[str]:
        return [_with_password(url, info.data.get("database_password")) for url in urls]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (named by the library, as those below)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings come from, the first that has one first."""
        assert isinstance(env_settings, EnvSettingsSource)
        env_settings.env_vars = _with_files(env_settings.env_vars)
        return init_settings, env_settings

    @property
    def sqlite_file(self) -> Path | None:
        """The SQLite file, or None when the base is on PostgreSQL."""
        scheme, _, path = self.database_url.partition(":///")
        return Path(path) if scheme.startswith("sqlite") else None


_WITHOUT_PASSWORD = re.compile(r"(\w[\w+]*://[^:@/?#]+)(@.*)", re.DOTALL)
"""A URL of a user who has no password, up to where it would be, and the rest."""


def _with_password(url: str, password: str | None) -> str:
    parts = _WITHOUT_PASSWORD.fullmatch(url)
    return f"{parts[1]}:{quote(password, safe='')}{parts[2]}" if parts and password else url


def _with_files(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the variables of the environment with the content of the files that are named in others."""
    found = dict(variables)
    for name in Settings.model_fields:
        variable = f"record_{name}"
        path = found.get(f"{variable}_file")
        if not path:
            continue
        shown = f"{variable.upper()}_FILE"
        if found.get(variable):
            raise ValueError(f"{variable.upper()} and {shown} are both set: take one of them away")
        try:
            found[variable] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise ValueError(f"{shown} cannot be read: {fault}") from fault
        if not found[variable]:
            raise ValueError(f"{shown}: {path} is empty")
    return found


def environment(**more: str) -> dict[str, str]:
    """The environment for a program that is started, with what it needs to know besides."""
    return {**os.environ, **more}
