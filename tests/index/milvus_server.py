"""The Milvus server of the PyPI package ``milvus``, started in a folder of its own and killed like a crashed one."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

STARTING_SECONDS = 120.0


class MilvusServer:
    """A server on free ports of this machine; what it holds stays in ``folder`` when it is killed."""

    def __init__(self, folder: Path) -> None:
        from milvus import MilvusServerConfig, _initialize_data_files

        config = MilvusServerConfig()
        names = [name for name in config.configurable_items if name.endswith("_port")]
        *ports, self._health_port = _free_ports(len(names) + 1)
        config.update(data_dir=str(folder), **dict(zip(names, ports, strict=True)))
        # A server that was killed is waited for as long as its lease runs: 5 s here, 30 s by default.
        config.set("common.session.ttl", 5)
        config.resolve()
        _initialize_data_files(str(folder))
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"milvus://127.0.0.1:{dict(zip(names, ports, strict=True))['proxy_port']}"

    def start(self) -> None:
        """Start it and wait until it says that it is well; nothing where it runs already."""
        if self._process is not None:
            return
        environment = {
            **os.environ,
            "DEPLOY_MODE": "STANDALONE",
            "LD_LIBRARY_PATH": str(self._folder / "bin"),
            "METRICS_PORT": str(self._health_port),
            "MILVUS_RUN_DIR": str(self._folder / "run"),
        }
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._folder / "bin" / "milvus", "run", "standalone"],
                cwd=self._folder,
                env=environment,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + STARTING_SECONDS
        while not self._is_well():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the Milvus server did not start; see {self._folder / 'server.log'}")
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it with SIGKILL; it has no time to write anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _is_well(self) -> bool:
        from index.errors import StoreUnreachableError
        from index.milvus import MilvusVectors

        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health_port}/healthz", timeout=5) as answer:
                if b"OK" not in answer.read():
                    return False
            store = MilvusVectors(self.address, self._folder, fingerprint="is it well", dimension=1)
            store.missing({"nothing": 1})  # it calls itself well before it takes questions
            store.close()
        except (OSError, StoreUnreachableError):
            return False
        return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
