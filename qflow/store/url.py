"""Redis URLs: `redis://`, `rediss://`, `unix://` and `redis+sentinel://`."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qflow.errors import ConfigError

if TYPE_CHECKING:
    import redis

_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel")


class Target(NamedTuple):
    """Where a Redis is and how to greet it. `shown` is the address without its password."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: str = ""
    username: str = ""
    password: str = ""
    db: int = 0
    service: str = ""
    verify: bool = True
    ca_file: str = ""

    @property
    def shown(self) -> str:
        """The URL without user and password, for messages."""
        if self.scheme == "unix":
            return f"unix://{self.path}?db={self.db}"
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        tail = f"{self.service}/{self.db}" if self.service else str(self.db)
        return f"{self.scheme}://{hosts}/{tail}"

    def open(self, timeout_s: float) -> socket.socket:
        """Open a socket to this Redis; raises OSError."""
        if self.scheme == "unix":
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(timeout_s)
            try:
                sock.connect(self.path)
            except OSError:
                sock.close()
                raise
            return sock
        host, port = self._primary() if self.service else self.hosts[0]
        # bytes: text would load the IDNA codec, 3 ms
        address: Any = (host.encode() if host.isascii() else host, port)
        sock = socket.create_connection(address, timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.scheme == "rediss":
            import ssl  # 25 ms at import, that only TLS connections should pay

            context = ssl.create_default_context(cafile=self.ca_file or None)
            if not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            return context.wrap_socket(sock, server_hostname=host)
        return sock

    def greeting(self) -> list[tuple[Any, ...]]:
        """Return the commands that a new connection begins with."""
        commands: list[tuple[Any, ...]] = []
        if self.password:
            user = (self.username,) if self.username else ()
            commands.append(("AUTH", *user, self.password))
        if self.db:
            commands.append(("SELECT", self.db))
        return commands

    def client(self) -> redis.Redis:
        """Return a redis-py client to this Redis (RQ and rq-scheduler speak through one)."""
        import redis

        user = self.username or None
        common: dict[str, Any] = {
            "username": user,
            "password": self.password or None,
            "db": self.db,
        }
        if self.scheme == "unix":
            return redis.Redis(unix_socket_path=self.path, **common)
        if self.service:
            from redis.sentinel import Sentinel

            primary: redis.Redis = Sentinel(list(self.hosts)).master_for(self.service, **common)
            return primary
        host, port = self.hosts[0]
        if self.scheme == "rediss":
            common |= {
                "ssl": True,
                "ssl_ca_certs": self.ca_file or None,
                "ssl_cert_reqs": "required" if self.verify else "none",
            }
        return redis.Redis(host=host, port=port, **common)

    def _primary(self) -> tuple[str, int]:
        from redis.exceptions import RedisError
        from redis.sentinel import Sentinel

        try:
            host, port = Sentinel(list(self.hosts), socket_timeout=2).discover_master(self.service)
        except RedisError as error:
            raise OSError(f"Sentinel knows no primary of {self.service!r}: {error}") from error
        return host, int(port)


def parse(url: str) -> Target:
    """Read a Redis URL; raise ConfigError naming what is wrong with it."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ConfigError(
            f"Redis URL {_shown(url)!r}: unknown scheme; "
            "use redis://, rediss://, unix:// or redis+sentinel://"
        )
    credentials, at, _ = rest.partition("/")[0].rpartition("@")
    place, _, query_text = rest[len(credentials + at) :].partition("?")
    address, slash, path = place.partition("/")
    path = slash + path
    query = dict(item.partition("=")[::2] for item in query_text.split("&"))
    username, _, password = credentials.partition(":")
    segments = [segment for segment in path.split("/") if segment]
    service = segments.pop(0) if scheme == "redis+sentinel" and segments else ""
    if scheme == "redis+sentinel" and not service:
        raise ConfigError(
            f"Redis URL {_shown(url)!r}: name the service, as in redis+sentinel://host:26379/mymaster"
        )
    db_text = query.get("db") or ("" if scheme == "unix" else "".join(segments[:1])) or "0"
    if not db_text.isdigit():
        raise ConfigError(f"Redis URL {_shown(url)!r}: {db_text!r} is no database number")
    return Target(
        scheme=scheme,
        hosts=() if scheme == "unix" else _hosts(url, address, service),
        path=_unquoted(path) if scheme == "unix" else "",
        username=_unquoted(username),
        password=_unquoted(password),
        db=int(db_text),
        service=service,
        verify=query.get("verify", "yes") != "no",
        ca_file=_unquoted(query.get("ca", "")),
    )


def from_client(client: redis.Redis) -> str:
    """Return the URL of the Redis that a redis-py client is connected to."""
    from urllib.parse import quote

    made_with: dict[str, Any] = client.connection_pool.connection_kwargs
    user, password = made_with.get("username") or "", made_with.get("password") or ""
    credentials = f"{quote(user, '')}:{quote(password, '')}@" if password else ""
    db = made_with.get("db") or 0
    if made_with.get("path"):
        return f"unix://{credentials}{made_with['path']}?db={db}"
    scheme = "rediss" if "ssl_cert_reqs" in made_with else "redis"
    return f"{scheme}://{credentials}{made_with.get('host', '127.0.0.1')}:{made_with.get('port', 6379)}/{db}"


def _shown(url: str) -> str:
    return re.sub(r"//[^@/]*@", "//…@", url)


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote  # 3 ms at import, for a character that is rare

    return unquote(text)


def _hosts(url: str, address: str, service: str) -> tuple[tuple[str, int], ...]:
    default = 26379 if service else 6379
    hosts = []
    for item in address.split(","):
        host, separator, port = item.rpartition(":")
        if not separator or item.endswith("]"):
            host, port = item, ""
        if port and not (port.isdigit() and 0 < int(port) < 65536):
            raise ConfigError(f"Redis URL {_shown(url)!r}: {port!r} is no port")
        hosts.append((host.strip("[]") or "127.0.0.1", int(port or default)))
    return tuple(hosts)
