"""Names of a test's own, for a daemon that it starts."""

import os
import socket
import subprocess

from .process import temp_dir

BIND = ("mount --bind {0}/hosts /etc/hosts && "
        "mount --bind {0}/resolv.conf /etc/resolv.conf && "
        "mount --bind {0}/nsswitch.conf /etc/nsswitch.conf && ")


class Names:
    """A hosts file, and a name server that never answers for all other names.

    wrap: what the daemon is to be started by, so that it sees these in a
    mount namespace of its own. available() tells whether this is allowed.
    """

    def __init__(self, hosts=None):
        self.dir = temp_dir("names")
        self.address = f"127.78.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.are(hosts or {})
        self._write("resolv.conf", f"nameserver {self.address}\n"
                    "options timeout:20 attempts:5\n")
        self._write("nsswitch.conf", "hosts: files dns\n")
        self.wrap = ["unshare", "-m", "sh", "-c",
                     BIND.format(self.dir) + 'exec "$@"', "sh"]

    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def are(self, hosts):
        """{"good.test": "127.0.0.1"}: from here on these, and no others."""
        self._write("hosts", "".join(f"{address} {name}\n"
                                     for name, address in hosts.items()))

    def available(self):
        try:
            self.socket.bind((self.address, 53))
        except OSError:
            return False
        return subprocess.run([*self.wrap, "true"], check=False,
                              stderr=subprocess.DEVNULL).returncode == 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()
