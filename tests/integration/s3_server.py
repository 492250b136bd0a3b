#!/usr/bin/env python3
"""A server that speaks as much of S3 as clients need to put, get, list and remove objects, for tests.

    s3_server.py DIRECTORY PORTFILE

Objects are files DIRECTORY/BUCKET/KEY; the port that it listens on is written to PORTFILE. Signatures are not looked at. While
DIRECTORY/fail exists, every object that is put is refused.
"""
import hashlib
import http.server
import os
import socketserver
import sys
import urllib.parse

ROOT = os.path.realpath(sys.argv[1])
NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *unused):
        pass

    def parts(self):
        url = urllib.parse.urlsplit(self.path)
        bucket, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
        return bucket, key, urllib.parse.parse_qs(url.query, keep_blank_values=True)

    def path_of(self, bucket, key):
        path = os.path.realpath(os.path.join(ROOT, bucket, key))
        if not path.startswith(ROOT + os.sep):
            raise ValueError("outside")
        return path

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            data = self.unframe(data)
        return data

    @staticmethod
    def unframe(data):
        """aws-chunked: SIZE;chunk-signature=... CRLF bytes CRLF"""
        out = b""
        while data:
            head, _, data = data.partition(b"\r\n")
            size = int(head.split(b";")[0], 16)
            if size == 0:
                break
            out, data = out + data[:size], data[size + 2:]
        return out

    def answer(self, code, text="", headers=()):
        data = text if isinstance(text, bytes) else text.encode()
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def error(self, code, name):
        self.answer(code, f"<Error><Code>{name}</Code><Message>{name}</Message></Error>", [("Content-Type", "application/xml")])

    def do_PUT(self):
        bucket, key, query = self.parts()
        data = self.body()
        if key and os.path.exists(os.path.join(ROOT, "fail")):
            return self.error(403, "AccessDenied")
        if "partNumber" in query:
            key = f".{query['uploadId'][0]}.{int(query['partNumber'][0]):05d}"
        if key:
            with open(self.path_of(bucket, key), "wb") as file:
                file.write(data)
        else:
            os.makedirs(self.path_of(bucket, ""), exist_ok=True)
        return self.answer(200, "", [("ETag", f'"{hashlib.md5(data).hexdigest()}"')])

    def do_POST(self):
        bucket, key, query = self.parts()
        self.body()
        if os.path.exists(os.path.join(ROOT, "fail")):
            return self.error(403, "AccessDenied")
        if "uploads" in query:
            upload = hashlib.md5(os.urandom(16)).hexdigest()
            return self.answer(200, f"<InitiateMultipartUploadResult {NS}><Bucket>{bucket}</Bucket><Key>{key}</Key>"
                               f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>", [("Content-Type", "application/xml")])
        directory = self.path_of(bucket, "")
        names = sorted(name for name in os.listdir(directory) if name.startswith(f".{query['uploadId'][0]}."))
        with open(self.path_of(bucket, key), "wb") as file:
            for name in names:
                with open(os.path.join(directory, name), "rb") as part:
                    file.write(part.read())
                os.unlink(os.path.join(directory, name))
        return self.answer(200, f"<CompleteMultipartUploadResult {NS}><Bucket>{bucket}</Bucket><Key>{key}</Key>"
                           f'<ETag>"0-{len(names)}"</ETag></CompleteMultipartUploadResult>', [("Content-Type", "application/xml")])

    def do_GET(self):
        bucket, key, query = self.parts()
        if "location" in query:
            return self.answer(200, f"<LocationConstraint {NS}></LocationConstraint>", [("Content-Type", "application/xml")])
        if not key:
            return self.list(bucket, query.get("prefix", [""])[0])
        try:
            with open(self.path_of(bucket, key), "rb") as file:
                data = file.read()
        except OSError:
            return self.error(404, "NoSuchKey")
        headers = [("ETag", f'"{hashlib.md5(data).hexdigest()}"'), ("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT")]
        span = self.headers.get("Range")
        if span and self.command == "GET":
            first, _, last = span.removeprefix("bytes=").partition("-")
            first, last = int(first), min(int(last or len(data) - 1), len(data) - 1)
            return self.answer(206, data[first:last + 1], headers + [("Content-Range", f"bytes {first}-{last}/{len(data)}")])
        return self.answer(200, data, headers + [("Content-Length", str(len(data)))])

    do_HEAD = do_GET

    def list(self, bucket, prefix):
        rows = ""
        for name in sorted(os.listdir(self.path_of(bucket, ""))):
            if name.startswith(prefix) and not name.startswith("."):
                size = os.path.getsize(self.path_of(bucket, name))
                rows += (f"<Contents><Key>{name}</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified><ETag>\"0\"</ETag>"
                         f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>")
        return self.answer(200, f"<ListBucketResult {NS}><Name>{bucket}</Name><Prefix>{prefix}</Prefix><MaxKeys>1000</MaxKeys>"
                           f"<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>", [("Content-Type", "application/xml")])

    def do_DELETE(self):
        bucket, key, _ = self.parts()
        if os.path.exists(self.path_of(bucket, key)):
            os.unlink(self.path_of(bucket, key))
        return self.answer(204)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
with open(sys.argv[2] + ".new", "w", encoding="ascii") as port_file:
    port_file.write(f"{server.server_port}\n")
os.rename(sys.argv[2] + ".new", sys.argv[2])
server.serve_forever()
