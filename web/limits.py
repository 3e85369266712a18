"""How much one client may ask for, and all together: token buckets of one process, few enough to be counted."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from time import monotonic

_log = logging.getLogger(__name__)

# Questions a minute of one address. Two hundred people behind one come to as many, each with a question every forty
# seconds: the chat page asks what it offers for an app, and once which apps there are, at the same address as its
# questions, and these count as well. A process on two cores answers fifteen times that (docs/scale.md), so that one
# address cannot have it all.
QUESTIONS_A_MINUTE = 600
# Of all addresses, in one process: over three times what two cores answer. What comes faster is nobody's conversation;
# below that the bound on what is answered at once (web/admission.py) decides, by how long answers take.
ALL_QUESTIONS_A_MINUTE = 30_000
# Whatever else is asked for, as a multiple of the questions: opening the chat takes some eighty files, once, and two
# hundred people may open it in the same minute.
OTHERS_A_QUESTION = 50
TELL_SECONDS = 60.0  # between two lines of the log that there is a limit and who met it
MAX_CLIENTS = 10_000  # counted apart, some 4 MB; the one that was away longest is forgotten, and had rested by then
IPV6_NETWORK = 64  # bits: what one subscriber gets, and can take any address from
UNKNOWN_CLIENT = "?"

# A profile asks a whole list of matters: as much work as five questions.
COSTLY_PATHS = re.compile(r"/profile/.+|/api/v1/profile")
COST = 5
# How many apps' clauses are ranked is known when a question has been answered, whatever it came by: one that compares
# two hundred apps takes a core for a second, and two cores answer 150 questions in one.
RANKED_A_QUESTION = 3


@dataclass(frozen=True)
class Rates:
    """Questions a minute, by client and of ``all`` clients, in each process; 0 for no limit."""

    client: int = QUESTIONS_A_MINUTE
    all: int = ALL_QUESTIONS_A_MINUTE


@dataclass
class Bucket:
    """What is left of a minute's worth, filled up as time goes by."""

    left: float
    since: float

    def wait(self, cost: float, rate: float, now: float) -> float:
        """Return the seconds until ``cost`` can be taken at ``rate`` a minute; 0 where it can be now."""
        self.left = min(rate, self.left + (now - self.since) * rate / 60)
        self.since = now
        return max(0.0, (cost - self.left) * 60 / rate)

    def charge(self, cost: float, rate: float, now: float) -> None:
        """Take ``cost`` whether it is there or not: what is owed is had back within two minutes."""
        self.wait(0, rate, now)
        self.left = max(-rate, self.left - cost)


@dataclass
class Limiter:
    """Counts what each client asks for, in this process alone: several processes let through as much each."""

    rates: Rates = field(default_factory=Rates)
    now: Callable[[], float] = monotonic
    max_clients: int = MAX_CLIENTS

    def __post_init__(self) -> None:
        self._clients: OrderedDict[tuple[str, bool], Bucket] = OrderedDict()
        self._all = Bucket(self.rates.all, self.now())
        self._told = float("-inf")

    def wait(self, client: str | None, path: str, method: str) -> float:
        """Take a request into account; return 0, or the seconds after which it would be let through.

        :param client: the address that it comes from, ``None`` where that is not known. This machine's own is not
            limited: whoever is on it has other ways, and measures with it.
        :param path: below the site's root.
        """
        key = client_key(client)
        if key is None:
            return 0.0
        cost = _cost(path)
        asks = is_question(path, method)
        now = self.now()
        taken: list[Bucket] = []
        waits = [0.0]
        if self.rates.client:
            rate = self.rates.client * (1 if asks else OTHERS_A_QUESTION)
            taken.append(self._bucket((key, asks), rate, now))
            waits.append(taken[-1].wait(min(cost, rate), rate, now))
        if self.rates.all and asks:
            taken.append(self._all)
            waits.append(self._all.wait(min(cost, self.rates.all), self.rates.all, now))
        longest = max(waits)
        if not longest:  # what is refused costs nothing, or who asks on would never get in
            for bucket in taken:
                bucket.left -= cost
        elif now - self._told >= TELL_SECONDS:
            self._told = now
            _log.warning("%s asked for more than is let through; a proxy is named in WENTIAO_PROXIES", _tellable(key))
        return longest

    def charge(self, client: str | None, path: str, method: str, ranked: int) -> None:
        """Take into account what an answer took beyond what :meth:`wait` counted for it, up to a minute's worth.

        :param ranked: of how many apps the clauses were ranked.
        """
        key = client_key(client)
        extra = ranked / RANKED_A_QUESTION - _cost(path)
        if key is None or extra <= 0:
            return
        now = self.now()
        if self.rates.client:
            asks = is_question(path, method)
            rate = self.rates.client * (1 if asks else OTHERS_A_QUESTION)
            self._bucket((key, asks), rate, now).charge(extra, rate, now)
        if self.rates.all:
            self._all.charge(extra, self.rates.all, now)

    def _bucket(self, key: tuple[str, bool], rate: float, now: float) -> Bucket:
        if key in self._clients:
            self._clients.move_to_end(key)
        else:
            self._clients[key] = Bucket(rate, now)
            if len(self._clients) > self.max_clients:
                self._clients.popitem(last=False)
        return self._clients[key]


def _cost(path: str) -> int:
    return COST if COSTLY_PATHS.fullmatch(path) else 1


def is_question(path: str, method: str) -> bool:
    """Say whether a request asks something: every POST, and a profile; ``path`` is below the site's root.

    ``/readyz`` must answer however many ask, and is none.
    """
    return method == "POST" or COSTLY_PATHS.fullmatch(path) is not None


def _tellable(key: str) -> str:
    """Return a client as the log may have it: a proxy of the operator's has a private address, a person's is theirs."""
    try:
        return key if ip_network(key).is_private else "an address"
    except ValueError:
        return "an address"


def client_key(address: str | None) -> str | None:
    """Return what stands for a client: its IPv4 address, the network of its IPv6 one, ``None`` for this machine.

    What is no address shares one name, or whoever sends such would be somebody else each time.

    >>> client_key("203.0.113.9"), client_key("2001:db8:1:2:3::4"), client_key("::ffff:203.0.113.9"), client_key("::1")
    ('203.0.113.9', '2001:db8:1:2::/64', '203.0.113.9', None)
    """
    try:
        known = ip_address((address or "").partition("%")[0])
    except ValueError:
        return UNKNOWN_CLIENT
    if isinstance(known, IPv6Address):
        if known.ipv4_mapped is None:
            return None if known.is_loopback else str(ip_network((known, IPV6_NETWORK), strict=False))
        known = known.ipv4_mapped
    return None if known.is_loopback else str(known)
