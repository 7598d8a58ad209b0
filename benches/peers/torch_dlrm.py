"""The model of `benches/step_speed` in PyTorch, for comparison.

    python3 torch_dlrm.py step  [--batch 8192] [--optimizer adagrad|sgd|adam]
    python3 torch_dlrm.py score [--batch 8192]
    python3 torch_dlrm.py rank

`step` times training steps with sparse embedding gradients, `score` predictions
of pairs of users and movies, `rank` those of a user with every movie and the ten
best of them. Medians, on as many threads as PyTorch takes.
"""

import argparse
import time

import torch
from torch import nn

USERS, MOVIES, GENRES = 162_541, 62_423, 20
DENSE, DIM, HIDDEN, CLIP = 8, 64, 128, 512
BATCHES, WARM_UP = 20, 5


class Dlrm(nn.Module):
    def __init__(self):
        super().__init__()
        rows = (USERS, MOVIES, GENRES)
        self.tables = nn.ModuleList(nn.EmbeddingBag(n, DIM, mode="sum", sparse=True) for n in rows)
        self.bottom = nn.Sequential(
            nn.Linear(DENSE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIM), nn.ReLU()
        )
        self.towers = nn.ModuleList(nn.Sequential(nn.Linear(CLIP, DIM), nn.ReLU()) for _ in range(2))
        vectors = 1 + len(self.towers) + len(self.tables)
        self.register_buffer("pairs", torch.tril_indices(vectors, vectors, -1), persistent=False)
        self.top = nn.Sequential(
            nn.Linear(DIM + self.pairs.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
        )

    def forward(self, users, movies, genres, genre_offsets, dense, modalities):
        single = torch.arange(len(users))
        bottom = self.bottom(dense)
        vectors = [
            bottom,
            self.tables[0](users, single),
            self.tables[1](movies, single),
            self.tables[2](genres, genre_offsets),
            *(tower(values[movies]) for tower, values in zip(self.towers, modalities)),
        ]
        stacked = torch.stack(vectors, 1)
        products = torch.bmm(stacked, stacked.transpose(1, 2))
        return self.top(torch.cat([bottom, products[:, self.pairs[0], self.pairs[1]]], 1))[:, 0]


def draw(movies):
    count = len(movies)
    lengths = torch.randint(1, 4, (count,))
    offsets = torch.cumsum(lengths, 0) - lengths
    genres = torch.randint(0, GENRES, (int(lengths.sum()),))
    return torch.randint(0, USERS, (count,)), movies, genres, offsets, torch.randn(count, DENSE)


def popular(count):
    popularity = torch.arange(1, MOVIES + 1).float() ** -0.9
    return torch.multinomial(popularity, count, replacement=True)


def median_seconds(work, times):
    seconds = []
    for number in range(times + WARM_UP):
        start = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - start)
    return sorted(seconds[WARM_UP:])[times // 2]


def optimizers(model, name):
    rates = {"sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad, "adam": torch.optim.Adam}
    tables = list(model.tables.parameters())
    rest = [x for part in (model.bottom, model.towers, model.top) for x in part.parameters()]
    of_tables = torch.optim.SparseAdam if name == "adam" else rates[name]
    return [of_tables(tables, lr=0.001), rates[name](rest, lr=0.001)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["step", "score", "rank"])
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--optimizer", choices=["adagrad", "sgd", "adam"], default="adagrad")
    args = parser.parse_args()
    torch.manual_seed(1)
    modalities = [torch.randn(MOVIES, CLIP) for _ in range(2)]
    model = Dlrm()
    if args.mode == "step":
        batches = [(draw(popular(args.batch)), torch.rand(args.batch)) for _ in range(BATCHES)]
        both = optimizers(model, args.optimizer)

        def step(number):
            batch, targets = batches[number % BATCHES]
            for optimizer in both:
                optimizer.zero_grad()
            nn.functional.mse_loss(model(*batch, modalities), targets).backward()
            for optimizer in both:
                optimizer.step()

        seconds, count = median_seconds(step, args.steps), args.batch
    elif args.mode == "score":
        batches = [draw(popular(args.batch)) for _ in range(BATCHES)]
        with torch.inference_mode():
            score = lambda number: model(*batches[number % BATCHES], modalities)
            seconds, count = median_seconds(score, args.steps), args.batch
    else:
        catalogue = draw(torch.arange(MOVIES))

        def rank(number):
            users = torch.full((MOVIES,), number)
            scores = [
                model(users[at], catalogue[1][at], *bags(catalogue, at), catalogue[4][at], modalities)
                for at in torch.arange(MOVIES).split(args.batch)
            ]
            torch.cat(scores).topk(10)

        with torch.inference_mode():
            seconds, count = median_seconds(rank, 10), MOVIES
    print(f"{args.mode} per_s={count / seconds:.0f} ms={seconds * 1e3:.2f}")


def bags(batch, at):
    """Genres of some samples that follow each other."""
    genres, offsets = batch[2], batch[3]
    start = int(offsets[at[0]])
    end = int(offsets[at[-1] + 1]) if at[-1] + 1 < len(offsets) else len(genres)
    return genres[start:end], offsets[at] - start


if __name__ == "__main__":
    main()
