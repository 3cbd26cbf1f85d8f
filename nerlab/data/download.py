"""One file from the web, whole or not at all."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from pooch import Pooch

from nerlab.files import file_lock, new_file
from nerlab.messages import make_console, progress_bar

_RETRIES = 3


def fetch(url: str, sha256: str, path: Path) -> None:
    """Bring a file to ``path`` if its content has the digest ``sha256``, in hexadecimal.

    Of several processes that call this at once, one fetches and the others wait for it.

    Raises:
        OSError: the server could not be reached, its file has another digest, or the file could
            not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(path.parent, wait=True):
            if not path.is_file():
                _fetch(url, sha256, path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        by_hand = f"try again, or put that file at {path} by hand"
        raise OSError(f"{url}: {reason}; {by_hand}") from None


def _fetch(url: str, sha256: str, path: Path) -> None:
    name = path.name
    with TemporaryDirectory(prefix="nerlab-") as folder, new_file(path) as part:
        store = Pooch(folder, "", {name: sha256}, {name: url}, retry_if_failed=_RETRIES)
        with progress_bar(make_console(stderr=True), f"fetching {name}"):
            shutil.copyfile(store.fetch(name), part)
