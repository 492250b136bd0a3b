"""A mail server for 28-year.sh: year_mail.py PORT. It takes everything, and refuses whom it does not know: nobody*@. No TLS."""
import socketserver
import sys


class Session(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")
        self.wfile.flush()

    def handle(self):
        self.say("220 here")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"EHLO":
                self.say("250 here")
            elif word == b"RCPT" and b"<nobody" in line:
                self.say("550 5.1.1 no such user here")
            elif word == b"DATA":
                self.say("354 go on")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.say("250 taken")
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 well")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Session).serve_forever()
