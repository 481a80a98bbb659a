"""The settings, read once. No other module reads the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MINUTE = 60


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
            min_length=32,
            repr=False,
        ),
    ] = None
    public_reading: Annotated[
        bool, Field(description="Whether reading needs no key. If off, every read needs one.")
    ] = True
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
    feed_bytes: Annotated[
        int,
        Field(description="How much disk feeds may take, in the directory for temporary files.", ge=0),
    ] = 1024**3
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

    @property
    def sqlite_file(self) -> Path | None:
        """The SQLite file, or None when the base is on PostgreSQL."""
        scheme, _, path = self.database_url.partition(":///")
        return Path(path) if scheme.startswith("sqlite") else None
