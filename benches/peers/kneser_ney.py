"""A modified Kneser-Ney n-gram model of lines of tokens (Chen & Goodman 1998, An Empirical Study of
Smoothing Techniques for Language Modeling, section 3.3), interpolated, with its discounts estimated
from counts of counts: what a neural language model has to beat.

    recurrent tokenize MODEL < train.txt > train.tok
    recurrent tokenize MODEL < test.txt > test.tok
    python benches/peers/kneser_ney.py train.tok test.tok [--order 5] [--vocabulary V]

Prints the perplexity a token, `</s>` included, which is what `recurrent evaluate` calls `ppl`. The
lowest order is interpolated with a uniform distribution over V ids, so that every token has a
probability.
"""

import argparse
import math
from collections import Counter, defaultdict

BEGIN, END = "<s>", "</s>"


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [line.split() for line in file]


class Order:
    """The counts of one order, by context."""

    def __init__(self, counts):
        self.contexts = defaultdict(dict)
        for gram, count in counts.items():
            self.contexts[gram[:-1]][gram[-1]] = count
        n = Counter(counts.values())
        y = n[1] / (n[1] + 2 * n[2])
        self.discounts = [0.0] + [
            max(0.0, k - (k + 1) * y * n[k + 1] / n[k]) if n[k] else 0.0 for k in (1, 2, 3)
        ]

    def discount(self, count):
        return self.discounts[min(count, 3)]


class KneserNey:
    def __init__(self, sentences, order, vocabulary):
        self.order = order
        self.vocabulary = vocabulary
        raw = [Counter() for _ in range(order)]
        for sentence in sentences:
            padded = [BEGIN, *sentence, END]
            for end in range(1, len(padded)):
                for n in range(min(order, end + 1)):
                    raw[n][tuple(padded[end - n : end + 1])] += 1
        # Below the highest order a gram counts once for each token that it follows, but for those at
        # the beginning of a line, which follow nothing.
        counts = []
        for n in range(order):
            if n == order - 1:
                counts.append(raw[n])
                continue
            counts.append(Counter(gram[1:] for gram in raw[n + 1]))
            counts[n].update({gram: c for gram, c in raw[n].items() if gram[0] == BEGIN})
        self.orders = [Order(c) for c in counts]

    def probability(self, context, token):
        p = 1.0 / self.vocabulary
        for n, order in enumerate(self.orders[: len(context) + 1]):
            seen = order.contexts.get(context[len(context) - n :] if n else ())
            if not seen:
                continue
            total = sum(seen.values())
            count = seen.get(token, 0)
            left = sum(order.discount(c) for c in seen.values()) / total
            p = max(count - order.discount(count), 0.0) / total + left * p
        return p

    def perplexity(self, sentences):
        log, tokens = 0.0, 0
        for sentence in sentences:
            padded = [BEGIN, *sentence, END]
            for end in range(1, len(padded)):
                context = tuple(padded[max(0, end - self.order + 1) : end])
                log += math.log(self.probability(context, padded[end]))
                tokens += 1
        return math.exp(-log / tokens), tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--vocabulary", type=int, default=2000)
    arguments = parser.parse_args()
    train = lines(arguments.train)
    model = KneserNey(train, arguments.order, arguments.vocabulary)
    # A distribution sums to 1 over everything that can come.
    words = {token for sentence in train for token in sentence} | {END}
    context = (BEGIN, *train[0])[: arguments.order - 1]
    whole = sum(model.probability(context, word) for word in words)
    whole += (arguments.vocabulary - len(words)) * model.probability(context, object())
    assert abs(whole - 1.0) < 1e-6, whole
    perplexity, tokens = model.perplexity(lines(arguments.test))
    print(f"order {arguments.order}: perplexity {perplexity:.3f} a token, {tokens} tokens")


if __name__ == "__main__":
    main()
