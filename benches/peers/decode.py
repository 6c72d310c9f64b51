"""Writing outputs: greedily and with a beam, all of one length."""

import torch

from model import BOS, EOS, ended, read

FORBIDDEN = [0, BOS, EOS]


def prepare(case, tensors):
    return Decode(case, read(case, tensors).eval())


class Decode:
    def __init__(self, case, model):
        self.model, self.width = model, case["width"]
        self.sources = ended(case["sources"])
        self.steps = case["model"]["steps"][1] - 1

    def run(self):
        with torch.inference_mode():
            return self.greedy() if self.width == 1 else self.beam()

    def log_probs(self, last, states, memory):
        logits, states = self.model.decode(last[:, None], states, memory)
        return torch.log_softmax(logits[:, 0], 1), states

    def greedy(self):
        memory, states = self.model.encode(self.sources)
        batch = len(self.sources)
        last = torch.full([batch], BOS)
        total, tokens = torch.zeros(batch), []
        for _ in range(self.steps):
            log_probs, states = self.log_probs(last, states, memory)
            log_probs[:, FORBIDDEN] = -torch.inf
            best, last = log_probs.max(1)
            total += best
            tokens.append(last)
        log_probs, _ = self.log_probs(last, states, memory)
        return torch.stack(tokens, 1), total + log_probs[:, EOS]

    def beam(self):
        memory, states = self.model.encode(self.sources)
        batch, width = len(self.sources), self.width
        last, total = torch.full([batch], BOS), torch.zeros(batch, 1)
        tokens = torch.empty(batch, 1, 0, dtype=torch.long)
        for step in range(self.steps):
            log_probs, states = self.log_probs(last, states, memory)
            log_probs[:, FORBIDDEN] = -torch.inf
            live, vocabulary = total.shape[1], log_probs.shape[1]
            scores = total[:, :, None] + log_probs.view(batch, live, vocabulary)
            total, place = scores.flatten(1).topk(width)
            parent, last = place // vocabulary, place % vocabulary
            rows = (torch.arange(batch)[:, None] * live + parent).flatten()
            states = [tuple(part.index_select(1, rows) for part in layer) for layer in states]
            tokens = torch.cat([tokens.flatten(0, 1)[rows].view(batch, width, -1), last[:, :, None]], 2)
            last = last.flatten()
            if step == 0:
                memory = [part.repeat_interleave(width, 0) for part in memory]
        log_probs, _ = self.log_probs(last, states, memory)
        score, best = (total + log_probs[:, EOS].view(batch, width)).max(1)
        return tokens[torch.arange(batch), best], score

    def results(self):
        tokens, score = self.run()
        return torch.cat([tokens.double(), score.double()[:, None]], 1).flatten().tolist()
