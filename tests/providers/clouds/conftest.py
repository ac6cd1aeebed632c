"""The clouds on loopback, and an environment that has credentials for them and for nothing else."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_server import KEY_ID, SECRET, STRANGE, CloudServer

CUSTOM = "x-other: 1\nauthorization: Bearer of-a-gateway\nx-api-key: of-a-gateway"


@pytest.fixture(scope="session")
def account() -> str:
    """The key of a service account of Google."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials of any cloud, and nowhere to look for them; but the credentials of Anthropic's own API."""
    for name in [*os.environ]:
        if name.startswith(("ANTHROPIC_", "AWS_", "GOOGLE_", "CLOUD_ML_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    shut = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "shared"),
        "NO_GCE_CHECK": "true",
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "HOME": str(tmp_path),
        "ANTHROPIC_API_KEY": STRANGE,
        "ANTHROPIC_CUSTOM_HEADERS": CUSTOM,
        "ANTHROPIC_AUTH_TOKEN": "of-a-gateway",
    }
    for name, value in shut.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def cloud(bare: Path, account: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudServer]:
    """A server, and credentials of all clouds."""
    with CloudServer().listening() as server:
        told = {
            "type": "service_account",
            "project_id": "account-project",
            "client_email": "a@account-project.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": account,
            "token_uri": f"{server.url}/token",
        }
        file = bare / "account.json"
        file.write_text(json.dumps(told), encoding="utf-8")
        variables = {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "GOOGLE_APPLICATION_CREDENTIALS": str(file),
            "ANTHROPIC_FOUNDRY_API_KEY": "foundry-key-0123456789",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield server
