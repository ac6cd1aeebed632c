"""Files that are kept at the API for the batches of a job. Each method belongs in one transaction."""

from dataclasses import dataclass

from batchrun.providers import UploadedFile
from batchrun.store.ledger.ledger import Ledger

COLUMNS = "sha, name, begun_at, file_id, expires_at"


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload as the ledger has it; times in seconds since 1970."""

    sha: str
    """SHA-256 of the file's bytes."""
    name: str
    """The file's name at the API, which no other upload has."""
    begun_at: float
    file_id: str | None = None
    """The API's id of the file; None if the API has not answered."""
    expires_at: float | None = None


class Uploads:
    """The uploads of a job to one address."""

    def __init__(self, ledger: Ledger, job: str, address: str) -> None:
        self._connection = ledger.connection
        self._key = (job, address)

    def find(self, sha: str) -> Upload | None:
        """Find the upload of these bytes."""
        row = self._connection.execute(
            f"select {COLUMNS} from uploads where job = ? and address = ? and sha = ?", (*self._key, sha)
        ).fetchone()
        return Upload(*row) if row else None

    def begin(self, upload: Upload) -> None:
        """Record the intent to upload, before anything is sent."""
        self._connection.execute(
            f"insert or replace into uploads (job, address, {COLUMNS}) values (?, ?, ?, ?, ?, null, null)",
            (*self._key, upload.sha, upload.name, upload.begun_at),
        )

    def finish(self, upload: Upload, uploaded: UploadedFile) -> None:
        """Record what the API has made of an upload."""
        self._connection.execute(
            "update uploads set file_id = ?, expires_at = ? where job = ? and address = ? and sha = ?",
            (uploaded.file_id, uploaded.expires_at, *self._key, upload.sha),
        )

    def some(self, *, limit: int) -> list[Upload]:
        """List uploads, finished or not."""
        rows = self._connection.execute(
            f"select {COLUMNS} from uploads where job = ? and address = ? limit ?", (*self._key, limit)
        )
        return [Upload(*row) for row in rows]

    def remove(self, upload: Upload) -> None:
        """Forget an upload whose file is gone."""
        self._connection.execute(
            "delete from uploads where job = ? and address = ? and sha = ?", (*self._key, upload.sha)
        )

    def forget_expired(self, *, now: float) -> None:
        """Forget the job's uploads, to whatever address, that have expired."""
        self._connection.execute("delete from uploads where job = ? and expires_at < ?", (self._key[0], now))


def has_uploads(ledger: Ledger, job: str) -> bool:
    """Return whether the API may keep files for the job."""
    return bool(ledger.connection.execute("select 1 from uploads where job = ? limit 1", (job,)).fetchone())


def distrust_uploads(ledger: Ledger, job: str) -> None:
    """Use none of the job's uploads again, because the API has denied one of them."""
    ledger.connection.execute("update uploads set expires_at = 0 where job = ? and file_id is not null", (job,))
