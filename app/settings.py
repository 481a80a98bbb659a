"""The settings, read once. No other module reads the environment."""

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MOST_A_MINUTE = 1_000_000
"""Beyond which counting costs more than answering."""
MIN_SECRET = 32
"""Characters of a secret, below which it could be guessed."""


class Settings(BaseSettings):
    """Every setting is an environment variable with the prefix `RECORD_`."""

    model_config = SettingsConfigDict(env_prefix="RECORD_", frozen=True, extra="ignore")

    database_url: Annotated[
        str,
        Field(description="Where the base is: `sqlite:///file` or `postgresql://user:password@host/name`."),
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
        int, Field(description="How long one question may keep the database busy.", ge=1, le=3600)
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

    @property
    def sqlite_file(self) -> Path | None:
        """The SQLite file, or None when the base is on PostgreSQL."""
        scheme, _, path = self.database_url.partition(":///")
        return Path(path) if scheme.startswith("sqlite") else None


def environment(**more: str) -> dict[str, str]:
    """The environment for a program that is started, with what it needs to know besides."""
    return {**os.environ, **more}
