"""Certificates made on the spot with the openssl command, and a TLS front that stands before the simulator."""
import asyncio
import contextlib
import pathlib
import ssl
import subprocess
import threading

from .plain import split_address


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name="weir test authority"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate = self.folder / "authority.pem"
        self._key = self.folder / "authority.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                      "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.certificate,
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _openssl(self, *arguments):
        result = subprocess.run(["openssl", *[str(word) for word in arguments]], cwd=self.folder, capture_output=True, text=True,
                                timeout=120, check=False)
        assert result.returncode == 0, result.stderr

    def issue(self, file_name, subject_names):
        """(certificate with its chain, key) for names as OpenSSL writes them: "IP:127.0.0.1,DNS:localhost"."""
        request, key = self.folder / f"{file_name}.csr", self.folder / f"{file_name}.key"
        own, chain, extensions = (self.folder / f"{file_name}{end}" for end in (".own.pem", ".pem", ".ext"))
        extensions.write_text(f"subjectAltName={subject_names}\nextendedKeyUsage=serverAuth\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={file_name}",
                      "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                      "-days", "2", "-extfile", extensions, "-out", own)
        chain.write_text(own.read_text() + self.certificate.read_text())
        return chain, key

    def client(self, version=None):
        """A context that trusts this authority alone; with `version` it speaks that one only."""
        context = ssl.create_default_context(cafile=self.certificate)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


class TlsFront:
    """Takes TLS connections on a free port and passes their bytes to `address` in the clear. It runs in a thread of its own;
    `resumed` has one truth value for every handshake, `refused` counts those that failed."""

    def __init__(self, address, certificate, key, version=None):
        self.target = split_address(address)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        if version is not None:
            self.context.minimum_version = self.context.maximum_version = version
        self.resumed, self.refused = [], 0
        self._writers = set()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._on_trouble)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        self.address = "127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]

    def _on_trouble(self, _, context):
        if isinstance(context.get("exception"), (ssl.SSLError, ConnectionError)):
            self.refused += 1

    async def _listen(self):
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)

    async def _serve(self, reader, writer):
        self.resumed.append(writer.get_extra_info("ssl_object").session_reused)
        self._writers.add(writer)
        try:
            back_reader, back_writer = await asyncio.open_connection(*self.target)
            await asyncio.wait([asyncio.ensure_future(self._pump(reader, back_writer)),
                                asyncio.ensure_future(self._pump(back_reader, writer))], return_when=asyncio.FIRST_COMPLETED)
            back_writer.close()
        finally:
            self._writers.discard(writer)
            writer.close()

    @staticmethod
    async def _pump(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    def drop(self):
        """Closes every connection in an orderly way."""
        async def close_all():
            for writer in list(self._writers):
                writer.close()

        asyncio.run_coroutine_threadsafe(close_all(), self._loop).result(30)

    def close(self):
        async def end():
            self._server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
