"""A mail server that misbehaves on demand: smtp_server.py PORT DIRECTORY

What it does next is the word in DIRECTORY/mode, read at each connection. Messages that came whole are in DIRECTORY/1, 2, ...;
each command is a line of DIRECTORY/commands. No TLS. It ends when DIRECTORY is gone.
"""
import os
import socketserver
import sys
import threading
import time

PORT, DIRECTORY = int(sys.argv[1]), sys.argv[2]
keeping = threading.Lock()


def path(name):
    return os.path.join(DIRECTORY, name)


def mode():
    try:
        with open(path("mode")) as f:
            return f.read().strip()
    except FileNotFoundError:
        return "accept"


class Session(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")
        self.wfile.flush()

    def keep(self, lines):
        with keeping:
            number = 1 + sum(1 for name in os.listdir(DIRECTORY) if name.isdigit())
            with open(path(str(number)), "wb") as f:
                f.write(b"".join(lines))

    def data(self, what):
        if what == "refuse-data":
            self.say("554 5.6.0 <planted-secret> not here")
            return True
        self.say("354 go on")
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line)
            if what == "drop-in-data":
                return False
        else:
            return False
        if what == "drop-after-data-unkept":
            return False
        self.keep(lines)
        if what == "drop-after-data":
            return False
        if what == "hang-after-data":
            time.sleep(30)
            return False
        answers = {
            "refuse-after-data": "554 5.7.1 planted-secret: content refused",
            "later-after-data": "452 4.3.1 planted-secret: disk full",
            "garbage-after-data": "\x00\xff what?",
        }
        self.say(answers.get(what, "250 2.0.0 taken"))
        return True

    def handle(self):
        what = mode()
        if what == "hang":
            time.sleep(30)
            return
        if what == "drop":
            return
        self.say({"busy": "421 4.3.2 planted-secret: too busy", "closed": "554 5.3.2 planted-secret: closed"}.get(what, "220 mail.example ESMTP"))
        for line in self.rfile:
            command = line.decode("latin-1").strip()
            word = command.split(" ")[0].upper()
            with open(path("commands"), "a") as f:
                f.write(command + "\n")
            if word == "EHLO":
                self.say("250-mail.example")
                self.say("250-" + "X" * 600 if what == "long-lines" else "250-SIZE 1000000")
                self.say("250 ENHANCEDSTATUSCODES")
            elif word == "DATA":
                if not self.data(what):
                    return
            elif word == "QUIT":
                self.say("221 bye")
                return
            elif word == "RCPT" and what in ("later", "refuse", "shut"):
                self.say({"later": "451 4.2.2 planted-secret: full", "refuse": "550 5.1.1 planted-secret: unknown", "shut": "421 4.7.0 going"}[what])
            elif word == "MAIL" and what == "refuse-sender":
                self.say("553 5.1.8 planted-secret: bad sender")
            else:
                self.say("250 2.1.0 fine")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def watch():
    while os.path.isdir(DIRECTORY):
        time.sleep(1)
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()
Server(("127.0.0.1", PORT), Session).serve_forever()
