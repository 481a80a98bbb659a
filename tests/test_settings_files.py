"""Settings that are in a file whose path is given, as container engines hand out secrets."""

from pathlib import Path

import pytest

from app.base.pools import engine_url
from app.settings import Settings
from tests.commands import Command
from tests.newsroom import SECRET, Bases, SqliteBases

LOG_KEY = "PRIVATE+KEY+tests+0+x"


def written(file: Path, content: str | bytes) -> str:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def test_a_command_takes_its_base_and_its_secret_from_files(
    bases: Bases, command: Command, tmp_path: Path
) -> None:
    with bases.fresh() as url:
        files = {
            "RECORD_DATABASE_URL": "",
            "RECORD_DATABASE_URL_FILE": written(tmp_path / "url", f"{url}\n"),
            "RECORD_SECRET": "",
            "RECORD_SECRET_FILE": written(tmp_path / "secret", f" {SECRET}\r\n"),
        }
        assert command(url, "key", "create", "Ann", "--role", "editor", **files).code == 0
        assert command(url, "key", "list").out.endswith("Ann\n")
        assert not Path(f"{url.removeprefix('sqlite:///')}.secret").exists()


def test_every_setting_can_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in {"log_key": LOG_KEY, "cors_origins": '["https://a.example"]', "port": "1"}.items():
        monkeypatch.setenv(f"RECORD_{name.upper()}_FILE", written(tmp_path / name, content))
    monkeypatch.setenv("RECORD_LOG_ORIGIN_FILE", "")
    settings = Settings()
    assert (settings.log_key, settings.cors_origins) == (LOG_KEY, ["https://a.example"])
    assert settings.log_origin is None, "an empty path is none"
    assert LOG_KEY not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"RECORD_SECRET_FILE": "short"}, "RECORD_SECRET and RECORD_SECRET_FILE are both set"),
        ({"RECORD_SECRET": "", "RECORD_SECRET_FILE": "short"}, "RECORD_SECRET: "),
        ({"RECORD_SECRET": "", "RECORD_SECRET_FILE": "empty"}, "RECORD_SECRET_FILE: "),
        ({"RECORD_SECRET": "", "RECORD_SECRET_FILE": "none"}, "RECORD_SECRET_FILE cannot be read: "),
        ({"RECORD_SECRET": "", "RECORD_SECRET_FILE": "."}, "RECORD_SECRET_FILE cannot be read: "),
        ({"RECORD_LOG_KEY_FILE": "latin"}, "RECORD_LOG_KEY_FILE cannot be read: "),
        ({"RECORD_CORS_ORIGINS_FILE": "short"}, "error parsing value"),
        ({"RECORD_DATABASE_PASSWORD": "x"}, "RECORD_DATABASE_URL: "),
    ],
)
def test_a_file_that_cannot_be_is_named_in_a_line(
    sqlite_bases: SqliteBases, command: Command, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    for name, content in {"short": b"hush", "empty": b"\n", "latin": b"\xe9" * 40}.items():
        written(tmp_path / name, content)
    given = {n: str(tmp_path / v) if n.endswith("_FILE") else v for n, v in settings.items()}
    with sqlite_bases.fresh() as url:
        refused = command(url, "key", "list", **given)
        assert (refused.code, refused.out) == (1, "")
        assert refused.last_line.startswith(said)
        assert "hush" not in refused.last_line


PASSWORD = "p@ss/w:rd? é%#"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://record@db.example:5432/record", "db.example"),
        ("postgresql+psycopg://record@a.example:5433,b.example/record?target_session_attrs=any", None),
        ("postgresql://record@[2001:db8::1]/record", "2001:db8::1"),
    ],
)
def test_a_password_can_be_apart_from_the_url(url: str, hosts: str | None) -> None:
    own = "postgresql://record:own@c.example/record"
    settings = Settings(database_url=url, database_password=PASSWORD, replica_urls=[url, own])
    found = engine_url(settings.database_url)
    assert (found.username, found.password, found.database) == ("record", PASSWORD, "record")
    assert found.host == hosts
    assert settings.replica_urls == [settings.database_url, own]
    assert PASSWORD not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://record:own@db.example/record",
        "postgresql://db.example/record",
        "postgresql:///record?user=a@b",
        "sqlite:///record.db",
    ],
)
def test_a_password_that_has_no_place_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="RECORD_DATABASE_PASSWORD"):
        Settings(database_url=url, database_password=PASSWORD)
