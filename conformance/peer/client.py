"""A client of a running router (section A.8): finds symbols, as an editor written in another language would. Written from
PROTOCOL.md alone. The address is `control` of what `nova serve --json` and `nova status --json` print.

client.py unix:/run/user/1000/nova/….sock Berth                          prints what is found
client.py unix:/run/user/1000/nova/….sock Berth --unsaved A.java TEXT    the same with an unsaved text of a file
"""
import argparse
import json
import pathlib
import sys
import time

import messages
import peer
from messages import BOOL, HIT, RAW16, U16, U32, U64, List, Struct, Text

SKIP = Struct(root=U32, path=Text(4096), reason=Text(32), detail=Text(512))
CHANGED = Struct(files=U32, waiting=U32, skipped=U32, first=List(SKIP, 4096))
messages.MESSAGES.update({
    "ClientHello": Struct(form=U32, build=Text(128)),
    "ClientWelcome": Struct(client_id=U64, pid=U32, build=Text(128), build_id=RAW16),
    "FindSymbols": Struct(query=Text(1024), kinds=U16, limit=U32, soft=U32, hard=U32),
    "FindSymbolsAnswer": Struct(hits=List(Struct(root=U32, symbol=HIT), 10000), truncated=BOOL,
        shards=Struct(total=U32, answered=U32, warming=U32, failed=U32), files=U64, skipped=U64),
    "IndexWorkspace": Struct(look=BOOL),
    "IndexWorkspaceAnswer": Struct(total=U32, ready=U32, failed=U32, files=U64, skipped=U64, problem=Text(512)),
    "OpenOverlay": Struct(path=Text(4096), text=Text()),
    "OpenOverlayAnswer": CHANGED,
})
METHODS = {"FindSymbols": (0x0600, 1 << 20), "IndexWorkspace": (0x0601, 16384), "OpenOverlay": (0x0603, 16384)}
ALL_KINDS = (1 << 12) - 1


class Client:
    """Makes one request after the other."""

    def __init__(self, story):
        self.story, self.asked, self.found = story, None, None
        self.hello = messages.encode("ClientHello", {"form": 257, "build": "client.py"})

    def act(self, conn, event, now):
        """Does what an event of the connection asks for."""
        if event[0] == "open":
            if messages.decode("ClientWelcome", conn.peer_app)[1]: return conn.close("BAD_WELCOME")
            self.ask(conn, now, None)
        elif event[0] == "answer":
            _, _, result, body = event
            if result != "ok": sys.exit(f"{self.asked}: {result} {body}")
            value, error = messages.decode(self.asked + "Answer", body)
            if error: sys.exit(f"the answer to {self.asked} does not decode")
            self.ask(conn, now, value)

    def ask(self, conn, now, answer):
        try:
            self.asked, value = self.story.send(answer)
        except StopIteration as done:
            self.found = done.value
            return conn.close("NORMAL")
        number, longest = METHODS[self.asked]
        conn.call(number, messages.encode(self.asked, value), longest, now)


def story(query, unsaved):
    """One request after the other; what is sent in is its answer. Returns the answer to the query."""
    yield "IndexWorkspace", {"look": True}
    if unsaved:
        yield "OpenOverlay", {"path": str(pathlib.Path(unsaved[0]).absolute()), "text": unsaved[1]}
    return (yield "FindSymbols", {"query": query, "kinds": ALL_KINDS, "limit": 50, "soft": 2000, "hard": 10000})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("query")
    parser.add_argument("--unsaved", nargs=2, metavar=("FILE", "TEXT"), help="a text that is not saved")
    args = parser.parse_args()
    since, client = time.monotonic(), Client(story(args.query, args.unsaved))
    conn = peer.Connection("worker", since, app=client.hello)
    peer.drive(peer.connect(args.address), conn, lambda event, now: client.act(conn, event, now))
    if client.found is None: sys.exit("the connection ended early")
    print(json.dumps(client.found))


if __name__ == "__main__":
    main()
