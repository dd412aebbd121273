"""Two hosts on a Linux bridge, one datagram, gone, by Mininet; prints the nanoseconds."""

import ctypes
import os
import socket
import time

from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo

libc = ctypes.CDLL(None, use_errno=True)


def udp(pid, address):
    with open(f"/proc/{pid}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(address)
    made.settimeout(5)
    return made


home = os.getpid()
begin = time.monotonic_ns()
network = Mininet(topo=SingleSwitchTopo(2), switch=LinuxBridge, controller=None)
network.start()
first, second = network.hosts
receiver = udp(second.pid, (second.IP(), 9))
sender = udp(first.pid, (first.IP(), 0))
sender.sendto(b"x", (second.IP(), 9))
assert receiver.recv(1) == b"x"
sender.close(), receiver.close()
with open(f"/proc/{os.getppid()}/ns/net") as namespace:
    libc.setns(namespace.fileno(), 0x40000000)
network.stop()
print(time.monotonic_ns() - begin)
