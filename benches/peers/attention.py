"""Attention of all queries over a memory."""

import torch
from torch import nn


def prepare(case, tensors):
    score = additive if case["additive"] else multiplicative
    inputs = tensors.pop("values"), tensors.pop("queries")
    weights = {name.rsplit(".", 1)[-1]: nn.Parameter(w) for name, w in tensors.items()}
    return AttentionCase(score, weights, inputs)


def additive(weights, values, queries):
    keys = values @ weights["w_m"]
    queries = queries @ weights["w_q"]
    return torch.tanh(queries[:, :, None] + keys[:, None]) @ weights["v"]


def multiplicative(weights, values, queries):
    return queries @ (values @ weights["w"]).transpose(1, 2)


def attend(score, weights, values, queries):
    return torch.softmax(score(weights, values, queries), 2) @ values


class AttentionCase:
    def __init__(self, score, weights, inputs):
        self.score, self.weights = score, weights
        self.inputs = [tensor.requires_grad_() for tensor in inputs]

    def run(self):
        for tensor in [*self.inputs, *self.weights.values()]:
            tensor.grad = None
        context = attend(self.score, self.weights, *self.inputs)
        context.square().sum().backward()
        return context

    def results(self):
        context = self.run()
        all_of_it = [context, *(tensor.grad for tensor in self.inputs)]
        return torch.cat([tensor.detach().flatten() for tensor in all_of_it]).tolist()
