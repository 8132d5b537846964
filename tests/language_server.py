"""As much of a client of the Language Server Protocol as is needed to see diagnostics."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from run_fixture import end_group

Message = dict[str, Any]


class LanguageServer:
    """A server that is spoken to over its standard input and output."""

    def __init__(
        self,
        command: Sequence[str],
        root: Path,
        environment: Mapping[str, str],
        *,
        limit: float = 120,
    ) -> None:
        self._root = root
        self._limit = limit
        self._number = 0
        self._received: queue.Queue[Message] = queue.Queue()
        self._log = (root.parent / "server.log").open("w+b")
        self._process = subprocess.Popen(
            command,
            cwd=root,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> LanguageServer:
        self.request(
            "initialize",
            {"processId": None, "rootUri": self._root.as_uri(), "capabilities": {}},
        )
        self.notify("initialized", {})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.request("shutdown", None)
                self.notify("exit", None)
                self._process.wait(self._limit)
        finally:
            end_group(self._process)
            self._reader.join(self._limit)
            for stream in (self._process.stdin, self._process.stdout, self._log):
                assert stream is not None
                stream.close()

    def request(self, method: str, parameters: Any) -> Any:
        """Ask, and wait for the answer."""
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": parameters})
        answer = self._wait(lambda message: message.get("id") == number and "method" not in message)
        assert "error" not in answer, answer
        return answer["result"]

    def notify(self, method: str, parameters: Any) -> None:
        """Say something that has no answer."""
        self._send({"method": method, "params": parameters})

    def diagnostics(self, uri: str, expected: Callable[[list[Message]], bool]) -> list[Message]:
        """The first diagnostics of a document, from now on, that are as expected."""

        def fits(message: Message) -> bool:
            if message.get("method") != "textDocument/publishDiagnostics":
                return False
            parameters = message["params"]
            return parameters["uri"] == uri and expected(parameters["diagnostics"])

        found: list[Message] = self._wait(fits)["params"]["diagnostics"]
        return found

    def _send(self, message: Message) -> None:
        assert self._process.stdin is not None
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        self._process.stdin.flush()

    def _wait(self, fits: Callable[[Message], bool]) -> Message:
        last = time.monotonic() + self._limit
        seen = []
        while True:
            try:
                message = self._received.get(timeout=max(0.0, last - time.monotonic()))
            except queue.Empty:
                self._log.seek(0)
                log = self._log.read().decode(errors="replace")
                raise AssertionError(f"no such message within the limit; {seen}\n{log}") from None
            if fits(message):
                return message
            seen.append(message)
            if "id" in message and "method" in message:
                self._send({"id": message["id"], "result": None})

    def _read(self) -> None:
        """Put all that the server sends into the queue."""
        stream = self._process.stdout
        assert stream is not None
        while True:
            length = 0
            while line := stream.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if not length:
                return
            self._received.put(json.loads(stream.read(length)))
