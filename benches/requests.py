"""Asks a server (`mmdlrm serve`) at a steady rate, whether it keeps up or not, and
prints how long answers took. Standard library alone.

    python3 benches/requests.py http://127.0.0.1:3000 --rate 50 --seconds 60
    python3 benches/requests.py http://127.0.0.1:3000 --visitors 20

With --visitors each request is of somebody new who gives so many ratings, the latest ones of a
user.
"""

import argparse
import http.client
import json
import random
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

parser = argparse.ArgumentParser()
parser.add_argument("server")
parser.add_argument("--rate", type=float, default=50)
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--path", default="/api/users/{user}/recommendations?count=10")
parser.add_argument("--visitors", type=int, metavar="RATINGS")
args = parser.parse_args()


def get(path):
    with urllib.request.urlopen(args.server + path) as answer:
        return json.load(answer)


low, high = get("/api/info")["user_ids"]
draw = random.Random(1)
users = [draw.randint(low, high) for _ in range(int(args.rate * args.seconds))]


def question(user):
    """Method, path and body."""
    if args.visitors is None:
        return "GET", args.path.format(user=user), None
    rated = get(f"/api/users/{user}?count={args.visitors}")["rated"]
    ratings = [{"movie": it["movie"]["id"], "stars": it["stars"]} for it in rated]
    return "POST", "/api/visitors", json.dumps({"ratings": ratings})


questions = [question(user) for user in users]

CLIENTS = 8


def client(first):
    """Every so many of the requests, over one connection."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(args.server).netloc)
    took = []
    for number in range(first, len(questions), CLIENTS):
        due = start + number / args.rate
        time.sleep(max(0, due - time.perf_counter()))
        connection.request(*questions[number], headers={"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        # From when it was due: a server that falls behind is not spared the waiting.
        took.append(1000 * (time.perf_counter() - due))
    return took


with ThreadPoolExecutor(CLIENTS) as pool:
    start = time.perf_counter()
    took = sorted(sum(pool.map(client, range(CLIENTS)), []))

at = lambda share: took[min(len(took) - 1, int(share * len(took)))]
print(
    f"requests={len(took)} per_s={len(took) / (time.perf_counter() - start):.1f} "
    f"p50_ms={at(0.5):.2f} p90_ms={at(0.9):.2f} p99_ms={at(0.99):.2f} max_ms={took[-1]:.2f}"
)
