"""What the flow tests start and speak: real processes, real sockets.

    process     a started program: its log, its ready line, its end
    ports       ports that are free now
    redis       redis-server, alone or as a cluster, and a RESP client
    names       names that hang, and names of the test's own
    nameserver  a name server that says what it is told to
    origin      the sample API, and an origin scripted byte by byte
    nearside    the daemon under test
    wire        an HTTP/1.1 client that sends any bytes and reads strictly
    relay       a slow link
    products    daemons before the sample API, on a cluster or one server
    payloads    the table of attacks as bytes, from both sides
    identity    origins that say whom they answer, and some that misread
    case        FlowTest, the test case that prints logs when it fails

Only Python's standard library. Nothing here sleeps for a condition's sake:
wait_until asks again and again, and says what it waited for when it fails.
"""

from .case import FlowTest
from .names import Names
from .nearside import Nearside
from .origin import SampleOrigin, ScriptedOrigin, pattern
from .ports import free_port, free_ports
from .process import Process, wait_until
from .redis import RedisCluster, RedisError, RedisServer, Resp, slot_of
from .wire import Connection, Response, WireError, fetch

__all__ = [
    "Connection", "FlowTest", "Names", "Nearside", "Process", "RedisCluster",
    "RedisError", "RedisServer", "Resp", "Response", "SampleOrigin",
    "ScriptedOrigin", "WireError", "fetch", "free_port", "free_ports",
    "pattern", "slot_of", "wait_until",
]
