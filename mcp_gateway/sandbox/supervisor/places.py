"""The folders of one run on the host: scratch for Landlock, a working directory lent to the run's user, and, for root,
a staging of paths that the run's user could not reach by itself.
"""

from __future__ import annotations

import os
import stat

from . import linux
from .confine import Identity

_STAGE = "/tmp"  # noqa: S108 - covered by a file system of our own, in a mount table of our own


class Scratch:
    """A temporary folder with `work` and `tmp` in it, owned by the run's user; `remove` it at the end."""

    def __init__(self, identity: Identity) -> None:
        import tempfile  # costs 10 ms that only this backend needs

        self.path = tempfile.mkdtemp(prefix="mcp-gateway-sandbox-")
        self.work, self.tmp = f"{self.path}/work", f"{self.path}/tmp"  # noqa: S108 - in a folder of its own
        for folder in (self.work, self.tmp):
            os.mkdir(folder, 0o700)
        if identity.changes:
            for folder in (self.work, self.tmp, self.path):
                os.chown(folder, identity.uid, identity.gid)

    def remove(self) -> None:
        import shutil  # as above

        for folder, folders, _ in os.walk(self.path):
            for name in folders:
                _make_removable(f"{folder}/{name}")
        shutil.rmtree(self.path, ignore_errors=True)


def _make_removable(folder: str) -> None:
    if not os.path.islink(folder):
        os.chmod(folder, 0o700)


class Loan:
    """A root-owned working directory that belongs to the run's user while the run lasts.

    Files with several names stay root's: the other name may be outside. The change of owner at the end also takes
    away any set-user-id bit that the run gave its files.
    """

    def __init__(self, workdir: str, identity: Identity) -> None:
        self._workdir, self._identity = workdir, identity
        self._gid = os.stat(workdir).st_gid
        self._change(0, identity.uid, -1)

    def give_back(self) -> None:
        self._change(self._identity.uid, 0, self._gid)

    def _change(self, owner: int, new_owner: int, new_gid: int) -> None:
        for _, folders, files, at in os.fwalk(self._workdir, follow_symlinks=False):
            for name in folders + files:
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
                shared = not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1
                if status.st_uid == owner and not (shared and owner == 0):
                    gid = new_gid if status.st_gid == self._identity.gid else -1
                    os.chown(name, new_owner, gid, dir_fd=at, follow_symlinks=False)
        os.chown(self._workdir, new_owner, new_gid)


def needs_loan(workdir: str | None, identity: Identity) -> bool:
    return workdir is not None and identity.changes and os.stat(workdir).st_uid == 0


def stage(paths: list[str]) -> dict[str, str]:
    """Bind each path to a spot that every user can reach, in a mount table of this process's own.

    Only for root, before the change of user. Where mounting is not allowed (root without capabilities) nothing is
    staged and the paths have to be reachable as they are.
    """
    try:
        linux.unshare_mounts()
        # Opened in the new table, as only its own mounts can be bound, and before the stage covers any of them.
        sources = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in paths]
        linux.mount("tmpfs", _STAGE, "tmpfs", 0, "mode=0755,size=1m")
    except PermissionError:
        return {}
    staged = {}
    for number, (path, fd) in enumerate(sources):
        spot = f"{_STAGE}/{number}"
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.mkdir(spot)
        else:
            os.close(os.open(spot, os.O_CREAT | os.O_WRONLY, 0o600))
        linux.mount(f"/proc/self/fd/{fd}", spot, None, linux.MS_BIND | linux.MS_REC, None)
        staged[path] = spot
    return staged
