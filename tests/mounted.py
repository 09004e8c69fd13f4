"""A folder as the kubelet mounts a ConfigMap or a Secret."""

from __future__ import annotations

from pathlib import Path


class ConfigMap:
    """Files are links into `..data`, which is a link that is replaced in one go."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._versions = folder, 0
        folder.mkdir()

    def path(self, name: str) -> Path:
        return self.folder / name

    def hold(self, files: dict[str, str]) -> None:
        self._versions += 1
        version = self.folder / f"..version_{self._versions}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.replace(self.folder / "..data")
        for name in files:
            if not self.path(name).is_symlink():
                self.path(name).symlink_to(f"..data/{name}")
