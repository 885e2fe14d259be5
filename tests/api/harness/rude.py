"""A provider that leaves in the middle of an upload: it reads the head and a little of the body, and then does what its manner says, without
a word of an answer. It notes the requests by the id that weir sends with each."""
import contextlib
import re
import socket
import threading

RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER: closing resets the connection
MANNERS = ("reset", "close", "still")


class RudeProvider:
    def __init__(self, manner):
        self.manner = manner
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # little is taken that is not read
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(100)
        self.base_url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.request_ids = []
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        data = b""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in data or len(data) < 40_000:
                piece = connection.recv(20_000)
                if not piece:
                    break
                data += piece
            found = re.search(rb"(?i)\r\nx-request-id: (\S+)", data)
            if found:
                self.request_ids.append(found.group(1).decode())
            if self.manner == "still":
                self.open.append(connection)
                return
            if self.manner == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.close()

    def close(self):
        self.listener.close()
        for connection in self.open:
            connection.close()
