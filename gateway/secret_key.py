"""The key that encrypts stored access tokens: made once and kept where the operator gave none."""

import os
import secrets
from pathlib import Path

FILE_NAME = "secret_key"


def kept_secret_key(data_dir: Path) -> str:
    """Return the folder's key, making it (readable by its owner only) when there is none.

    Processes that start together agree on one key.
    """
    path = data_dir / FILE_NAME
    if not path.exists():
        _make(path)
    return path.read_text().strip()


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces the key that another process has just made.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
