"""Whether the Hugging Face hub answers, found out in seconds: its libraries retry for minutes."""

from __future__ import annotations

import os
import re
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.errors import CivillyError, ModelError

PATIENCE = 3.0
"""Seconds in which the hub has to answer."""
SHORT_PATIENCE = 1.0
"""The same where the hub's cache has a copy, so that nothing is lost by not waiting."""
_REMEMBERED = 60.0
"""Seconds for which a hub that did not answer is not asked again."""
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
"""The shape of a hub id; anything else is a path, about which the library complains at once."""
_state: dict[str, tuple[float, str | None]] = {}


@dataclass(frozen=True, slots=True)
class Access:
    """How the hub can be used now.

    Attributes:
        why_not: Why nothing can be downloaded; None where it can, or where nothing need be.
    """

    why_not: str | None = None

    def problem(self, otherwise: str) -> str:
        """What was wrong where something was not found: the network, or else what is given."""
        if self.why_not is None:
            return otherwise
        return f"{self.why_not}, and the hub's cache on this machine does not hold all of it"

    def mend(self, otherwise: str) -> str:
        """What to do about it."""
        if self.why_not is None:
            return otherwise
        return (
            "check the network or the proxy (https_proxy, HF_ENDPOINT; HF_HUB_OFFLINE must not be "
            "set), or name a folder that holds it"
        )


def found_where(name: str, revision: str | None) -> dict[str, Any]:
    """What the loaders of transformers are told besides a name: this folder only, or a revision.

    Args:
        name: A hub id or a folder.
        revision: A branch, tag or commit of the hub; None or empty: the main branch.
    """
    where: dict[str, Any] = {"local_files_only": Path(name).is_dir()}
    return {**where, "revision": revision} if revision else where


def require_hub(
    name: str | Path, kind: type[CivillyError] = ModelError, what: str = "The model"
) -> None:
    """Makes sure that something is on this machine or can be downloaded; asked before long work.

    Args:
        name: A hub id, or a folder.
        kind: The error to raise.
        what: What it is, for the message.

    Raises:
        CivillyError: Of that kind, if the hub does not answer, or may not be asked, and its cache
            holds nothing of that name.
    """
    access, constants = _access(name)
    if access.why_not is not None and not _has_copy(str(name), constants):
        raise kind(
            f"{what} {str(name)!r} is not on this machine, and cannot be downloaded: "
            f"{access.why_not}.",
            mend=access.mend(""),
        )


@contextmanager
def hub_access(
    name: str | Path, kind: type[CivillyError] = ModelError, what: str = "The model"
) -> Iterator[Access]:
    """Within, the hub's libraries do not wait for a network that is not there.

    The hub is asked for a sign of life first; ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and proxies are
    honoured. Where it does not answer, the libraries take what is in the hub's cache.

    Args:
        name: What is wanted: a hub id, or a folder, for which nothing is asked.
        kind: See `require_hub`.
        what: See `require_hub`.

    Raises:
        CivillyError: As `require_hub`.
    """
    require_hub(name, kind, what)
    access, constants = _access(name)
    if access.why_not is None:
        yield access
        return
    datasets = sys.modules.get("datasets.config")  # it has a copy of the switch
    switches: list[Any] = [module for module in (constants, datasets) if module is not None]
    before = [module.HF_HUB_OFFLINE for module in switches]
    try:
        for module in switches:
            module.HF_HUB_OFFLINE = True
        yield access
    finally:
        for module, value in zip(switches, before, strict=True):
            module.HF_HUB_OFFLINE = value


def _access(name: str | Path) -> tuple[Access, Any]:
    """How the hub can be used for something, and the hub library's settings."""
    try:
        from huggingface_hub import constants
    except ImportError:  # whoever needs it says so
        return Access(), None
    if Path(name).is_dir() or not _HUB_ID.fullmatch(str(name)):
        return Access(), constants
    if constants.HF_HUB_OFFLINE:
        return Access("the hub may not be asked (HF_HUB_OFFLINE is set)"), constants
    patience = SHORT_PATIENCE if _has_copy(str(name), constants) else PATIENCE
    reason = _silence(constants.ENDPOINT, patience)
    if reason is None:
        return Access(), constants
    return Access(f"the hub {constants.ENDPOINT} cannot be reached ({reason})"), constants


def _has_copy(name: str, constants: Any) -> bool:
    """Whether anything of a model or data set was downloaded before."""
    hub = Path(constants.HF_HUB_CACHE)
    prepared = Path(os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME, "datasets"))
    flat = name.replace("/", "--")
    folders = [hub / f"{kind}--{flat}" / "snapshots" for kind in ("models", "datasets")]
    return any(folder.is_dir() for folder in [*folders, prepared / name.replace("/", "___")])


def _silence(endpoint: str, patience: float) -> str | None:
    """Why the hub does not answer, or None if it does."""
    asked, reason = _state.get(endpoint, (float("-inf"), "never asked"))
    if reason is None or time.monotonic() - asked < _REMEMBERED:
        return reason
    reason = why_silent(endpoint, patience)
    _state[endpoint] = (time.monotonic(), reason)
    return reason


def why_silent(url: str, patience: float) -> str | None:
    """Why a web server gives no answer, or None if it gives any, also an error of its own.

    Args:
        url: Address; proxies of the environment are used.
        patience: Seconds to wait at most, looking up the name included.
    """
    found: list[str | None] = []

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            # Not urlopen, which keeps the proxies of its first call.
            with urllib.request.build_opener().open(request, timeout=patience):
                found.append(None)
        except (urllib.error.HTTPError, ssl.SSLError):
            found.append(None)  # somebody is there; certificates are the libraries' business
        except urllib.error.URLError as error:
            certificates = isinstance(error.reason, ssl.SSLError)
            found.append(None if certificates else str(error.reason))
        except Exception as error:  # in a thread nobody would see it
            found.append(str(error) or type(error).__name__)

    # Looking a name up knows no time limit: only a thread can be left behind.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(patience)
    if not found or (found[0] is not None and "timed out" in found[0]):
        return f"no answer within {patience:g} seconds"
    return found[0]
