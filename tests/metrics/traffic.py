"""traffic.py serve ADDRESS | ask ADDRESS: both ends of traffic that every panel of the dashboard shows something of.

Connections to a port with a name (443) and to one without (50123), and datagrams to a port whose name is a guess (53),
again and again. It goes on until it is killed.
"""

import select
import selectors
import socket
import sys

NAMED, NAMELESS, GUESSED = 443, 50123, 53
ANSWER = bytes(3000)
# between two rounds of questions
PAUSE_SECONDS = 0.02


def serve(address):
    selector = selectors.DefaultSelector()
    for port in (NAMED, NAMELESS):
        selector.register(socket.create_server((address, port)), selectors.EVENT_READ, answer_connection)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, GUESSED))
    selector.register(datagrams, selectors.EVENT_READ, answer_datagram)
    print("serves", flush=True)
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj)


def answer_connection(listener):
    with listener.accept()[0] as connection:
        connection.sendall(ANSWER)


def answer_datagram(datagrams):
    question, asker = datagrams.recvfrom(512)
    datagrams.sendto(question, asker)


def ask(address):
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.connect((address, GUESSED))
    while True:
        for port in (NAMED, NAMELESS):
            with socket.create_connection((address, port)) as connection:
                while connection.recv(4096):
                    pass
        datagrams.send(bytes(60))
        datagrams.recv(512)
        select.select([], [], [], PAUSE_SECONDS)


{"serve": serve, "ask": ask}[sys.argv[1]](sys.argv[2])
