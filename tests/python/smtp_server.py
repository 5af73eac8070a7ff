"""An SMTP server for tests, aiosmtpd on 127.0.0.1.

The first line on stdout is its port; then comes one line of JSON for each message that it takes: connection (its
number from 1 on), helo, tls, user, sender, recipients, data. It ends when its stdin does.
"""

import argparse
import asyncio
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--refuse", help="a recipient that is answered with 550")
    parser.add_argument("--busy", type=int, default=0, help="so many recipients are first answered with 451")
    parser.add_argument("--drop", action="store_true", help="drops the connection after the data")
    parser.add_argument("--login", help="user:password that must be given")
    parser.add_argument("--tls", choices=["starttls", "implicit"])
    parser.add_argument("--certificate", help="a PEM file with certificate and key")
    parser.add_argument("--slow", type=float, default=0, help="seconds before the data is answered")
    parser.add_argument("--share", type=int, help="mails that one connection may send; then comes 421")
    return parser.parse_args()


class Handler:
    def __init__(self, options, connection):
        self.options = options
        self.connection = connection
        self.mails = 0

    async def handle_MAIL(self, server, session, envelope, address, mail_options):
        self.mails += 1
        if self.options.share and self.mails > self.options.share:
            return "421 4.7.0 enough for one connection"
        envelope.mail_from = address
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address == self.options.refuse:
            return "550 5.1.1 no such user here"
        if self.options.busy > 0:
            self.options.busy -= 1
            return "451 4.3.0 busy, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        message = {
            "connection": self.connection,
            "helo": session.host_name,
            "tls": session.ssl is not None or self.options.tls == "implicit",
            "user": session.auth_data,
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "data": envelope.original_content.decode("ascii"),
        }
        print(json.dumps(message), flush=True)
        await asyncio.sleep(self.options.slow)
        if self.options.drop:
            server.transport.abort()
        return "250 2.0.0 OK: taken"


async def serve(options):
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)

    def authenticate(server, session, envelope, mechanism, login):
        given = f"{login.login.decode()}:{login.password.decode()}"
        # without handled=False a wrong password gets no answer
        return AuthResult(success=given == options.login, auth_data=login.login.decode(), handled=False)

    connections = 0

    def connect():
        nonlocal connections
        connections += 1
        return SMTP(
            Handler(options, connections),
            hostname="smtp.test",
            tls_context=context if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls",
            authenticator=authenticate if options.login else None,
            auth_required=bool(options.login),
            auth_require_tls=options.tls == "starttls",
            auth_exclude_mechanism=None if options.login else ["PLAIN", "LOGIN"],
        )

    loop = asyncio.get_running_loop()
    implicit = context if options.tls == "implicit" else None
    server = await loop.create_server(connect, "127.0.0.1", 0, ssl=implicit)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


# what goes wrong here is what the tests are about
logging.getLogger("mail").setLevel(logging.CRITICAL)
asyncio.run(serve(arguments()))
