"""Files from the network: over TLS all the way, whole or not at all, and of the sha256 that is pinned.

Loads no torch: the planner asks where files lie.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SILENCE = 30.0
"""Seconds without a byte after which a download is given up."""
_CHUNK = 1 << 20


def hub_checkpoints() -> Path:
    """Torch hub's folder of downloaded weights, by the rules of `torch.hub.get_dir`."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub" / "checkpoints"


class _TlsAlone(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to https and to nothing else."""

    def redirect_request(self, request: Any, *answer: Any) -> urllib.request.Request | None:
        *_, url = answer
        if not url.startswith("https://"):
            raise OSError(f"the server sends on to {url}, which is not https")
        return super().redirect_request(request, *answer)


def download(url: str, target: Path, sha256: str) -> None:
    """Fetch a file. Raises OSError, with a clause that says why, where it cannot be had as it is pinned."""
    opener = urllib.request.build_opener(_TlsAlone)
    request = urllib.request.Request(url, headers={"User-Agent": "defectbench"})
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    content_hash = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with opener.open(request, timeout=SILENCE) as answer, part.open("wb") as out:
            while chunk := answer.read(_CHUNK):
                content_hash.update(chunk)
                out.write(chunk)
        if content_hash.hexdigest() != sha256:
            raise OSError(f"its sha256 begins with {content_hash.hexdigest()[:8]}, not {sha256[:8]}")
        part.replace(target)
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from error
    except http.client.HTTPException as error:
        raise OSError(f"the connection broke off ({type(error).__name__})") from error
    finally:
        part.unlink(missing_ok=True)
